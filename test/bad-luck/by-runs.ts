import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { hostSteps } from '../../activities/index.js';
import { beginSection } from '../../activities/sections.js';
import { openSite } from '../../activities/site/site.js';
import type { FailureType } from '../../src/core/failures.js';
import type { Report } from '../../src/core/report.js';
import type { Steps } from '../support/mock-steps.js';
import { judge } from './case.js';
import type { World } from './world.js';

/** A run of which one failure is of this type; a run that ends before it has a report raises it itself. */
type Provoke = (world: World) => Promise<Report>;

// biome-ignore lint/suspicious/noExplicitAny: a config as a person writes it; Holdfast's own schema judges it
type Change = (cms: any, config: any) => void;
const with_ = (world: World, change: Change, input: object = {}, own: Partial<Steps> = {}, workflow = 'backup') =>
  world.configured(change, () => world.run(workflow, input, own));

const guarded =
  (run: string, check = 'exit 0', timeout = '60s'): Provoke =>
  (world) =>
    with_(
      world,
      (cms) => {
        const sh = (script: string, more = {}) => ({ argv: ['/bin/sh', '-c', script], ...more });
        cms.operations = {
          migrate: { run: sh(run, { timeout }), check: { command: sh(check) }, touches: ['database'] },
        };
      },
      { operation: 'migrate' },
      {},
      'guardedChange',
    );

/** The check passes before the operation and says something else after it. */
const after = (world: World, code: number) => {
  const mark = join(world.dir, 'migrated');
  rmSync(mark, { force: true });
  return guarded(`touch ${mark}`, `[ ! -e ${mark} ] || exit ${code}`)(world);
};

export const byRuns: Partial<Record<FailureType, [told: RegExp, provoke: Provoke]>> = {
  InvalidInput: [/a mistake in the input; correct it and start again/, (world) => world.run('backup', { nonsense: 1 })],
  InvalidConfig: [/./, (world) => with_(world, (cms) => (cms.nonsense = 1))],
  UnknownSite: [/no site "nosuch"; known: cms/, (world) => world.run('backup', { site: 'nosuch' })],
  UnknownRepository: [
    /no repository elsewhere; known: local/,
    (world) => world.run('backup', { repositories: ['elsewhere'] }),
  ],
  SecretUnavailable: [
    /; create the file or variable that it names|; /,
    (world) =>
      with_(world, (cms, config) => {
        cms.repositories = ['nas'];
        config.repositories.nas.password = { env: 'OF_NOBODY' };
      }),
  ],
  StepTimedOut: [
    /^store on local: no result within its time limit/,
    (world) =>
      with_(
        world,
        (cms) => (cms.limits.store = '1s'),
        {},
        {
          store: async (input) => {
            await sleep(1500);
            return world.steps.store(input);
          },
        },
      ),
  ],
  WrongHost: [
    /two machines answer to the name local/,
    (world) => world.run('backup', {}, { stop: hostSteps({ ...world.deps, hostId: 'of another' }).stop }),
  ],
  DowntimeBudgetSpent: [
    /2 stopped sections of this run were ended/,
    (world) =>
      world.run(
        'backup',
        {},
        {
          stop: async (input) => {
            const record = await openSite(world.state, 'cms').read();
            for (const epoch of [record.epoch + 1001, record.epoch + 1002])
              await beginSection(
                world.state,
                'cms',
                record.holder?.firstRunId ?? '',
                epoch,
                new Date().toISOString(),
                record,
              );
            return world.steps.stop(input);
          },
        },
      ),
  ],
  HookFailed: [/the hook before/, (world) => with_(world, (cms) => (cms.hooks = { before: ['/bin/false'] }))],
  RepositoryDenied: [/; /, (world) => world.mounted('repositories', 'ro', () => world.run('backup'))],
  RepositoryInSource: [
    /lies inside the file set media; move it/,
    async (world) => {
      // By a link, which no look at the config alone can see.
      const [inside, link] = [join(world.site.media, 'inside'), join(world.dir, 'outside')];
      mkdirSync(inside);
      symlinkSync(inside, link);
      return with_(world, (_, config) => {
        config.repositories.local.location = link;
      }).finally(() => rmSync(inside, { recursive: true }));
    },
  ],
  SnapshotMissing: [
    /no repository has snapshot 0123456789abcdef/,
    (world) => world.run('restore', { snapshot: '0123456789abcdef', target: 'x' }),
  ],
  SnapshotDiffers: [
    /; treat this snapshot as lost and back up again/,
    (world) =>
      world.run(
        'backup',
        {},
        {
          verify: (input) =>
            world.steps.verify({
              ...input,
              ...(input.known ? { known: { ...input.known, captureId: '11111111-2222-3333-4444-555555555555' } } : {}),
            }),
        },
      ),
  ],
  KeyMissing: [
    /; run it on the host that has the key/,
    async (world) => {
      const recipients = [await identityToRecipient(await generateX25519Identity())];
      const sealed = (cms: { repositories: string[] }, config: { repositories: Record<string, object> }) => {
        config.repositories.sealed = { engine: 'archive', location: join(world.dir, 'sealed'), recipients };
        cms.repositories = ['sealed'];
      };
      await with_(world, sealed);
      return with_(world, sealed, {}, {}, 'restoreTest');
    },
  ],
  NotApproved: [/nobody approved within /, (world) => world.run('restore')],
  RestoreRefused: [
    /the target there exists already; name another target/,
    (world) => {
      mkdirSync(join(world.disks.www, 'restored/there'), { recursive: true });
      return world.run('restore', { target: 'there' });
    },
  ],
  RestoreFailed: [
    /what was fetched is not there/,
    async (world) => {
      const { captureId } = await world.run('backup');
      const swap: Steps['swap'] = (input) => {
        for (const name of readdirSync(world.disks.www).filter((each) => each.startsWith('.site.holdfast-')))
          rmSync(join(world.disks.www, name), { recursive: true });
        return world.steps.swap(input);
      };
      return world.run('restore', { approve: { site: 'cms', snapshot: captureId } }, { swap });
    },
  ],
  ProofFailed: [
    /^check on local: (?!.*\/holdfast-).*360p.*; back up again and look at the places named here$/,
    (world) =>
      world.run(
        'restoreTest',
        {},
        {
          prove: (input) => {
            const [tree = ''] = readdirSync(world.disks.scratch).filter((name) => name.startsWith('holdfast-'));
            execFileSync('sh', ['-c', 'find . -path "*360p*" -type f -delete -quit'], {
              cwd: join(world.disks.scratch, tree),
            });
            return world.steps.prove(input);
          },
        },
      ),
  ],
  UnknownOperation: [/nosuch/, (world) => world.run('guardedChange', { operation: 'nosuch' })],
  OperationFailed: [/; /, guarded('exit 7')],
  OperationUnknown: [/; /, guarded('sleep 30', 'exit 0', '1s')],
  CheckFailed: [/; /, (world) => after(world, 1)],
  CheckUnclear: [/could not look.*; nothing was changed; repair that first/, guarded('true', 'exit 75')],
};

export async function provokeByRun(world: World, type: FailureType): Promise<void> {
  const [told, provoke] = byRuns[type] ?? [/./, world.run];
  const failures = await (provoke as Provoke)(world).then(
    (report) => report.failures,
    (error) => [{ step: 'start', type: String(error.type), message: String(error.message) }],
  );
  const found = failures.find((failure) => failure.type === type) ?? failures[0];
  judge(found ?? { type: 'none', message: 'no failure' }, type, told);
  if (existsSync(join(world.dir, 'sealed'))) rmSync(join(world.dir, 'sealed'), { recursive: true });
}
