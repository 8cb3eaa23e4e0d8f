import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { findLiveDatabases } from '../../activities/checks/live-databases.js';
import { pushMediagit } from '../../activities/checks/mediagit-remote.js';
import { databases } from '../../activities/databases/index.js';
import { engines } from '../../activities/engines/index.js';
import { services } from '../../activities/services/index.js';
import { assertStopped } from '../../activities/site/assert-stopped.js';
import { openSite } from '../../activities/site/site.js';
import { takeSite } from '../../activities/steps/take-site.js';
import { sqlite } from '../../activities/tools/sqlite.js';
import type { FailureType } from '../../src/core/failures.js';
import { DatabaseSpec, FileSetSpec, type Plan, RepositorySpec, ServiceSpec } from '../../src/core/plan.js';
import { type TestContext, testContext } from '../support/context.js';
import { holderOf } from '../support/holder.js';
import { raises } from './case.js';
import type { World } from './world.js';

type Provoke = (world: World, ctx: TestContext, dir: string) => Promise<unknown>;

const command = (parts: object): Extract<ServiceSpec, { kind: 'command' }> =>
  ServiceSpec.parse({
    ...{ kind: 'command', name: 'app', stop: { argv: ['true'] }, start: { argv: ['true'] } },
    ...{ status: { argv: ['true'] }, ...parts },
  }) as Extract<ServiceSpec, { kind: 'command' }>;

const http = (port: number) =>
  DatabaseSpec.parse({ kind: 'http', name: 'export', mode: 'online', url: `http://127.0.0.1:${port}/` });

const repository = (more: object) => RepositorySpec.parse({ name: 'nas', engine: 'archive', ...more });

/** What a part raises by itself, each with the tool or the server that it is about. */
export const byParts: Partial<Record<FailureType, [told: RegExp, provoke: Provoke]>> = {
  ToolFailed: [/false ended with exit code 1/, (_, ctx) => ctx.run('false', [])],
  ToolStalled: [/sleep took longer than 50 ms/, (_, ctx) => ctx.run('sleep', ['5'], { timeoutMs: 50 })],
  SourceUnreadable: [/cannot be opened/, (_, ctx, dir) => sqlite(dir, 'SELECT 1 FROM x;', { access: 'read' }, ctx)],
  NotStopped: [
    /app of app runs inside the stopped section; find out what starts it/,
    (_, ctx) => assertStopped([command({})], [], ctx),
  ],
  StartFailed: [
    /the start command of app failed; look at its own log/,
    (_, ctx) =>
      services.command.start(
        command({ start: { argv: ['false'] }, status: { argv: ['sh', '-c', 'exit 3'] } }) as never,
        ['app'],
        ctx,
      ),
  ],
  WatchdogMissing: [
    /nothing was stopped; start `holdfast watchdog`/,
    async (_, ctx) => {
      const guard = openSite(ctx.state, 'cms', { ackMs: 50 });
      await guard.hold(holderOf('a'));
      return guard.arm(holderOf('a'), { services: [command({})], capMs: 1000 }, ctx);
    },
  ],
  SectionRevoked: [/./, (_, ctx) => openSite(ctx.state, 'cms').section(7, ctx)],
  SiteBusy: [
    /another-run has cms; wait for it/,
    async (world, ctx) => {
      const guard = openSite(ctx.state, 'cms');
      await guard.hold({ ...holderOf('another-run'), workflow: 'restore' });
      const deps = { ...world.deps, runState: async () => 'open' as const };
      return takeSite({ site: 'cms' } as Plan, { guard, holder: holderOf('mine'), ctx, deps, attempt: 1 });
    },
  ],
  DatabaseMissing: [
    /there is no .*\/none; correct its path/,
    (_, ctx, dir) =>
      databases.sqlite.preflight(
        DatabaseSpec.parse({ kind: 'sqlite', name: 'db', path: join(dir, 'none') }) as never,
        ctx,
      ),
  ],
  RemoteFailed: [
    /the remote backup did not tell its refs; look whether its server runs/,
    (_, ctx, dir) => {
      const git = join(dir, '.mediagit');
      mkdirSync(join(git, 'refs/heads'), { recursive: true });
      writeFileSync(join(git, 'HEAD'), 'ref: refs/heads/main\n');
      writeFileSync(join(git, 'config.toml'), '[remotes.backup]\nurl = "http://127.0.0.1:1/media"\n');
      return pushMediagit({ site: 'media', root: dir, options: {} } as unknown as Plan, 'backup', ctx);
    },
  ],
  DumpEmpty: [
    /is an empty file; look at the database/,
    async (_, ctx, dir) => {
      writeFileSync(join(dir, 'empty.db'), '');
      const spec = DatabaseSpec.parse({ kind: 'sqlite', name: 'db', path: join(dir, 'empty.db') });
      return databases.sqlite.preflight(spec as never, ctx);
    },
  ],
  DumpIncomplete: [
    /; look at the disk and the database|; /,
    (_, ctx, dir) => {
      const argv = ['echo', 'half of it'];
      const spec = DatabaseSpec.parse({ kind: 'command', name: 'db', dump: { argv }, ends: '# end' });
      return databases.command.dump(spec as never, dir, undefined, ctx);
    },
  ],
  DatabaseDenied: [
    /answered 401; make a new API key/,
    async (_, ctx, dir) => {
      const server = createServer((__, answer) => answer.writeHead(401).end()).listen(0, '127.0.0.1');
      await new Promise((done) => server.once('listening', done));
      const spec = http((server.address() as AddressInfo).port);
      return databases.http.dump(spec as never, dir, undefined, ctx).finally(() => server.close());
    },
  ],
  DatabaseUnreachable: [
    /does not answer \(ECONNREFUSED\); look whether it runs/,
    (_, ctx, dir) => databases.http.dump(http(1) as never, dir, undefined, ctx),
  ],
  LiveDatabaseInFiles: [
    /a live database is among the files.*; name them as a database or exclude them/,
    async (_, ctx, dir) => {
      execFileSync(
        'sh',
        [
          '-c',
          `printf '.dbconfig no_ckpt_on_close on\nPRAGMA journal_mode=WAL; CREATE TABLE a (b); INSERT INTO a VALUES (1);' | sqlite3 live.db`,
        ],
        { cwd: dir },
      );
      writeFileSync(join(dir, 'live.db-wal'), Buffer.alloc(4128, 1));
      return findLiveDatabases([FileSetSpec.parse({ name: 'files', root: dir, change: 'immutable' })], ctx);
    },
  ],
  RepositoryNotMounted: [
    /the disk of repository nas is not mounted; mount it/,
    (_, ctx, dir) => {
      mkdirSync(join(dir, 'repository'));
      return engines.archive.open(repository({ location: join(dir, 'repository'), requireMount: true }), ctx);
    },
  ],
  RepositoryUnreachable: [
    /; look at the network or the provider/,
    (world, ctx) =>
      engines.restic.open(
        repository({ engine: 'restic', location: 'rest:http://127.0.0.1:1/', password: { file: world.passwordFile } }),
        ctx,
      ),
  ],
  Unexpected: [
    /TypeError: .*; report it with the log named in the details/,
    (world) => new MockActivityEnvironment().run(world.steps.part as never, { site: 'cms', host: 'local' } as never),
  ],
};

export async function provokeByPart(world: World, type: FailureType): Promise<void> {
  const [told, provoke] = byParts[type] ?? [/./, () => Promise.resolve()];
  const ctx = await testContext();
  const dir = join(ctx.state.root, 'provoked');
  mkdirSync(dir);
  await raises(type, told, () => provoke(world, ctx, dir));
}
