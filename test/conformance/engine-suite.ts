import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { BackupRequest, Context, Engine, ListedFile } from '../../activities/contracts.js';
import { isFailure } from '../../src/core/failures.js';
import type { Manifest } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { testContext } from '../support/context.js';
import { NO_FOREIGN_PIDS } from '../support/pid-namespace.js';
import { eventually } from '../support/toy.js';
import { isRoot, oddTree, requestOf as plainRequest, portrait, temp } from './engine-fixture.js';

interface EngineCase {
  engine: Engine;
  /** A repository that does not exist yet, at or below `dir`. */
  repository: (dir: string) => Promise<RepositorySpec>;
  /** Makes it cheaper than `init` does, for all tests but that of `init`. */
  lay?: (repo: RepositorySpec) => Promise<void>;
  /** Flips one byte of stored data. */
  flip: (repo: RepositorySpec) => Promise<void>;
  /** What no argument, error or log may contain. */
  secrets: (repo: RepositorySpec) => Promise<string[]>;
  /** What a capture must be for this engine to let it go: one whose rule forbids that for a week has older ones. */
  expired?: () => Partial<Manifest>;
  /** Makes of a request one that this engine takes: some want a dump in each capture. */
  capture?: (request: BackupRequest) => Promise<BackupRequest>;
  skip?: string | false;
}

const failsAs = (type: Parameters<typeof isFailure>[1]) => (error: unknown) => {
  assert.ok(isFailure(error, type), `expected ${type}, got ${error}`);
  assert.ok(String((error as Error).message).split('\n')[0]!.length <= 120, (error as Error).message);
  return true;
};

async function all(entries: AsyncIterable<ListedFile>): Promise<ListedFile[]> {
  const found: ListedFile[] = [];
  for await (const each of entries) found.push(each);
  return found;
}

/** What every engine must hold. A new engine passes it before it is registered. */
export function engineSuite(
  name: string,
  { engine, repository, lay, flip, secrets, expired, capture, skip }: EngineCase,
): void {
  const killed = engine.name === 'restic' && NO_FOREIGN_PIDS;
  const requestOf = async (...args: Parameters<typeof plainRequest>): Promise<BackupRequest> => {
    const request = await plainRequest(...args);
    return capture ? capture(request) : request;
  };
  const make = async (ctx: Context): Promise<{ dir: string; repo: RepositorySpec }> => {
    const dir = await temp('engine');
    const repo = await repository(join(dir, 'repo'));
    await lay?.(repo);
    await engine.init(repo, ctx);
    return { dir, repo };
  };
  const source = async (dir: string): Promise<string> => {
    const tree = join(dir, 'srv/site x');
    await mkdir(tree, { recursive: true });
    await oddTree(tree);
    return tree;
  };

  suite(`engine ${name}`, { skip: skip ?? false, concurrency: false }, () => {
    test('a missing repository is told apart; init makes it, and again does nothing', async () => {
      const ctx = await testContext();
      const repo = await repository(join(await temp('engine'), 'repo'));
      await assert.rejects(engine.open(repo, ctx), failsAs('RepositoryMissing'));
      assert.ok(Object.keys(await engine.preflight(repo, ctx)).length > 0);
      await engine.init(repo, ctx);
      await engine.open(repo, ctx);
      assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
      await engine.init(repo, ctx);
      await engine.open(repo, ctx);
    });

    test('an unmounted disk is not written to', async () => {
      const ctx = await testContext();
      const repo = { ...(await repository('/holdfast-no-such-mount/repo')), requireMount: true };
      await assert.rejects(engine.open(repo, ctx), failsAs('RepositoryNotMounted'));
      await assert.rejects(engine.init(repo, ctx), failsAs('RepositoryNotMounted'));
    });

    test('everything comes back: bytes, modes, owners, times, xattrs, ACLs, links, holes, odd names', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      const request = await requestOf([tree]);
      const stored = await engine.backup(repo, request, ctx);
      const { captureId, siteId, capturedAt } = request.manifest;
      assert.equal(stored.snapshot.captureId, captureId);
      const [listed, ...others] = await engine.list(repo, siteId, ctx);
      assert.equal(others.length, 0);
      assert.deepEqual(
        { id: listed!.id, captureId: listed!.captureId, runId: listed!.runId, capturedAt: listed!.capturedAt },
        { id: stored.snapshot.id, captureId, runId: request.runId, capturedAt },
      );
      assert.ok(listed!.complete && listed!.kind === 'regular' && listed!.repository === repo.name);

      const entries = await all(engine.contents(repo, stored.snapshot.id, ctx));
      const byPath = new Map(entries.map((each) => [each.path, each]));
      for (const [path, type, size] of [
        ['', 'd', 0],
        ['/plain', 'f', 6],
        ['/a dir/hard', 'f', 6],
        ['/a dir/new\nline', 'f', 1],
        ['/a dir/empty', 'd', 0],
        ['/a dir/dangling', 'l', 0],
        ['/ünï ✓ "quoted" \\back\t', 'f', 1],
        ['/a -> b', 'f', 5],
        ['/glob[1]*?', 'f', 1],
        ['/s', 'f', 4 * 1024 * 1024 + 3],
      ] as const) {
        const found = byPath.get(tree + path);
        assert.deepEqual([found?.type, found?.size], [type, size], `${path} in the listing`);
        const onDisk = await stat(tree + path).catch(() => undefined);
        if (type === 'f') assert.equal(Math.floor(found!.mtimeMs), Math.floor(onDisk!.mtimeMs), `${path} mtime`);
      }
      assert.ok(
        entries.every((each) => each.path === tree || each.path.startsWith(`${tree}/`)),
        'nothing but what was asked for',
      );
      assert.equal(
        stored.files,
        entries.filter((each) => each.type === 'f').length + (name.startsWith('restic') ? 0 : 2),
      );

      const target = join(dir, 'out');
      await mkdir(target);
      const restored = await engine.restore(repo, stored.snapshot.id, target, { workDir: request.workDir }, ctx);
      assert.deepEqual(await portrait(target + tree), await portrait(tree));
      assert.equal(restored.files, 12);
    });

    test('a restore can be limited to paths, and says when one is not held', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      const request = await requestOf([tree]);
      const { snapshot } = await engine.backup(repo, request, ctx);
      const { workDir } = request;
      const target = join(dir, 'some');
      await mkdir(target);
      const paths = [`${tree}/glob[1]*?`, `${tree}/a dir/new\nline`];
      assert.equal((await engine.restore(repo, snapshot.id, target, { paths, workDir }, ctx)).files, 2);
      const none = join(dir, 'none');
      await mkdir(none);
      await assert.rejects(
        engine.restore(repo, snapshot.id, none, { paths: [`${tree}/nothing`], workDir }, ctx),
        failsAs('SnapshotDiffers'),
      );
      await assert.rejects(
        engine.restore(repo, '0123456789abcdef', none, { workDir }, ctx),
        failsAs('SnapshotMissing'),
      );
      await assert.rejects(all(engine.contents(repo, '0123456789abcdef', ctx)), failsAs('SnapshotMissing'));
    });

    test('excludes and file lists are kept to; a missing source fails', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = join(dir, 'srv');
      for (const path of ['keep/a', 'keep/b.tmp', 'keep/deep/c.tmp', 'cache/x', 'logs/l'].map((each) =>
        join(tree, each),
      )) {
        await mkdir(join(path, '..'), { recursive: true });
        await writeFile(path, path);
      }
      const exclude = [`${tree}/**/*.tmp`, `${tree}/{cache,logs}`];
      const first = await engine.backup(repo, { ...(await requestOf([tree])), exclude }, ctx);
      const names = async (id: string): Promise<string[]> =>
        (await all(engine.contents(repo, id, ctx))).map(({ path }) => path.slice(tree.length)).sort();
      assert.deepEqual(await names(first.snapshot.id), ['', '/keep', '/keep/a', '/keep/deep']);
      const files = [`${tree}/cache`, `${tree}/cache/x`, `${tree}/keep/a`, `${tree}/gone`];
      const second = await engine.backup(repo, { ...(await requestOf([tree])), files }, ctx);
      assert.deepEqual(await names(second.snapshot.id), ['/cache', '/cache/x', '/keep/a']);
      assert.match(ctx.notes.join('\n'), /1 of 4 listed files were gone/);
      await assert.rejects(engine.backup(repo, await requestOf([join(dir, 'nowhere')]), ctx), failsAs('SourceMissing'));
    });

    test('what cannot be read makes no snapshot', async (t) => {
      // A file of sysfs that is there and does not let itself be read, not even by root.
      const unreadable = '/sys/class/net/lo/speed';
      const code = await readFile(unreadable).then(
        () => 'it can be read',
        (error) => error.code,
      );
      if (code !== 'EINVAL') return t.skip(`${unreadable}: ${code}`);
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      await assert.rejects(
        engine.backup(repo, await requestOf([tree, unreadable]), ctx),
        failsAs('SnapshotIncomplete'),
      );
      assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
    });

    test('killed in mid-backup, nothing half is listed, and the same capture is stored by the next attempt', {
      skip: killed,
    }, async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = join(dir, 'big');
      await mkdir(tree);
      for (let i = 0; i < 12; i++) await writeFile(join(tree, `f${i}`), randomBytes(8 << 20));
      const request = await requestOf([tree]);
      const doomed = await testContext();
      const slow = { ...repo, uploadLimit: 1_000_000 };
      const attempt = engine.backup(slow, request, {
        ...doomed,
        beat: (progress) => {
          doomed.beat(progress);
          if ((progress?.bytes ?? 0) > 1 << 20) doomed.cancel(new Error('cancelled'));
        },
      });
      await assert.rejects(attempt, /cancelled/);
      assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
      const { snapshot } = await engine.backup(repo, request, ctx);
      assert.deepEqual(
        (await engine.list(repo, 'site-1', ctx)).map(({ id }) => id),
        [snapshot.id],
      );
      await engine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    });

    test('the worker dies with kill -9 in mid-backup: check and backup go on at once', { skip: killed }, async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = join(dir, 'big');
      await mkdir(tree);
      for (let i = 0; i < 12; i++) await writeFile(join(tree, `f${i}`), randomBytes(8 << 20));
      const request = await requestOf([tree]);
      await writeFile(
        join(dir, 'job.json'),
        JSON.stringify({ engine: engine.name, repo: { ...repo, uploadLimit: 2_000_000 }, request }),
      );
      const { spawn } = await import('node:child_process');
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', join(import.meta.dirname, 'engine-victim.ts'), join(dir, 'job.json')],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const exited = new Promise<boolean>((done) => child.once('exit', () => done(false)));
      const said = new Promise<boolean>((done) => child.stdout.once('data', () => done(true)));
      assert.ok(await Promise.race([said, exited]), 'it was in the middle of its backup');
      child.kill('SIGKILL');
      await exited;
      const programs = () => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' });
      await eventually('its programs have died with it', 60_000, () => !programs().includes(dir));
      assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
      // In the middle of a rotation, as a run's number makes it.
      await engine.check(repo, 'sample', { n: 12, of: 12 }, ctx);
      const { snapshot } = await engine.backup(repo, request, ctx);
      assert.deepEqual(
        (await engine.list(repo, 'site-1', ctx)).map(({ id }) => id),
        [snapshot.id],
      );
    });

    test('a capture stored twice is whole both times', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      const request = await requestOf([tree]);
      await engine.backup(repo, request, ctx);
      const { snapshot } = await engine.backup(repo, request, ctx);
      const mine = (await engine.list(repo, 'site-1', ctx)).filter(
        (each) => each.captureId === request.manifest.captureId,
      );
      assert.equal(mine.at(-1)?.id, snapshot.id);
      assert.ok(mine.every(({ complete }) => complete));
      await engine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    });

    test('forget removes that id alone, twice without harm; other sites are never listed', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = join(dir, 'srv');
      await mkdir(tree);
      const store = async (siteId: string) => {
        await writeFile(join(tree, 'file'), randomBytes(300_000));
        return (await engine.backup(repo, await requestOf([tree], { siteId, ...expired?.() }), ctx)).snapshot.id;
      };
      const [a, b, other] = [await store('site-1'), await store('site-1'), await store('site-2')];
      assert.deepEqual(await engine.sites(repo, ctx), ['site-1', 'site-2']);
      assert.deepEqual(
        (await engine.list(repo, 'site-1', ctx)).map(({ id }) => id),
        [a, b],
      );
      assert.deepEqual(
        (await engine.list(repo, 'site-2', ctx)).map(({ id }) => id),
        [other],
      );
      assert.deepEqual(await engine.list(repo, 'site', ctx), []);
      const before = await engine.stats(repo, ctx);
      const { freedBytes } = await engine.forget(repo, [a], ctx);
      assert.ok(freedBytes >= 300_000, `${freedBytes} freed`);
      assert.deepEqual(
        (await engine.list(repo, 'site-1', ctx)).map(({ id }) => id),
        [b],
      );
      const after = await engine.stats(repo, ctx);
      assert.equal(after.snapshots, before.snapshots - 1);
      assert.ok(after.bytes <= before.bytes - 300_000);
      await engine.forget(repo, [a], ctx);
      const target = join(dir, 'out');
      await mkdir(target);
      await engine.restore(repo, other, target, { workDir: dir }, ctx);
      await engine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    });

    test('one flipped byte is found by the full check, and by the samples together', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = join(dir, 'srv');
      await mkdir(tree);
      await writeFile(join(tree, 'file'), randomBytes(2_000_000));
      await engine.backup(repo, await requestOf([tree]), ctx);
      for (const depth of ['structure', 'sample', 'full'] as const)
        assert.match((await engine.check(repo, depth, { n: 1, of: 2 }, ctx)).said, /whole|without an error/);
      await flip(repo);
      await assert.rejects(engine.check(repo, 'full', { n: 1, of: 1 }, ctx), failsAs('RepositoryDamaged'));
      const samples = await Promise.allSettled([
        await engine.check(repo, 'sample', { n: 1, of: 2 }, ctx).catch((error) => error),
        await engine.check(repo, 'sample', { n: 2, of: 2 }, ctx).catch((error) => error),
      ]);
      assert.ok(samples.some((each) => each.status === 'fulfilled' && isFailure(each.value, 'RepositoryDamaged')));
    });

    test('a full disk is called that, and leaves no half snapshot', {
      skip: isRoot ? false : 'mounting a tmpfs takes root',
    }, async () => {
      const ctx = await testContext();
      const dir = await temp('engine');
      const mount = join(dir, 'mnt');
      await mkdir(mount);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mount]);
      try {
        const repo = { ...(await repository(join(mount, 'repo'))), requireMount: true };
        await engine.init(repo, ctx);
        const tree = join(dir, 'srv');
        await mkdir(tree);
        await writeFile(join(tree, 'file'), randomBytes(9_000_000));
        await assert.rejects(engine.backup(repo, await requestOf([tree]), ctx), failsAs('DiskFull'));
        assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
        await writeFile(join(tree, 'file'), randomBytes(500_000));
        if (engine.name === 'restic')
          await rm(join(mount, 'repo/data'), { recursive: true }).then(() => engine.open(repo, ctx));
        else await engine.backup(repo, await requestOf([tree]), ctx);
      } finally {
        execFileSync('umount', ['-l', mount]);
      }
    });

    test('what RESTORE.md says works by hand', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      const request = await requestOf([tree]);
      await engine.backup(repo, await requestOf([tree]), ctx);
      await writeFile(join(tree, 'later'), 'later');
      await engine.backup(repo, request, ctx);
      await rm(join(tree, 'later'));
      await engine.backup(repo, await requestOf([tree]), ctx);
      await writeFile(join(tree, 'later'), 'later');
      const lines = engine.restoreCommands(repo, request.manifest);
      const hand = join(dir, 'hand');
      await mkdir(hand);
      execFileSync('sh', ['-eu', '-c', lines.join('\n')], { cwd: hand, stdio: 'pipe' });
      const back = await portrait(join(hand, 'restored') + tree);
      assert.ok(
        back.some((line) => line.startsWith('/later | ')),
        'this capture, not another one',
      );
      await engine.leaveNote(repo, 'RESTORE-cms.md', lines.join('\n'), ctx);
      assert.equal((await stat(join(repo.location, 'RESTORE-cms.md'))).isFile(), true);
      for (const secret of await secrets(repo)) assert.ok(!lines.join('\n').includes(secret));
    });

    test('no secret reaches an argument, an error or a log', async () => {
      const ctx = await testContext();
      const { dir, repo } = await make(ctx);
      const tree = await source(dir);
      const argv: string[] = [];
      const spied: Context = {
        ...ctx,
        run: (program, args, options) => {
          argv.push([program, ...args, JSON.stringify(options?.env ?? {})].join(' '));
          return ctx.run(program, args, options);
        },
      };
      const { snapshot } = await engine.backup(repo, await requestOf([tree]), spied);
      await all(engine.contents(repo, snapshot.id, spied));
      await flip(repo);
      const error = await engine.check(repo, 'full', { n: 1, of: 1 }, spied).catch((each) => each);
      const said = [...argv, await ctx.logText(), JSON.stringify([error.message, error.details]), ...ctx.notes].join(
        '\n',
      );
      for (const secret of await secrets(repo)) assert.ok(!said.includes(secret), 'a secret was said');
      assert.ok(argv.length > 1);
    });
  });
}
