import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Fetched, Stored } from '../../activities/api.js';
import { engines } from '../../activities/engines/index.js';
import type { StateDir } from '../../activities/site/api.js';
import { dump } from '../../activities/steps/dump.js';
import { fetch } from '../../activities/steps/fetch.js';
import { prove } from '../../activities/steps/prove.js';
import { store } from '../../activities/steps/store.js';
import { verify } from '../../activities/steps/verify.js';
import { apps } from '../../src/apps/index.js';
import { gatherFacts } from '../../src/config/facts.js';
import { freezePlan } from '../../src/config/freeze.js';
import type { SnapshotKind } from '../../src/core/manifest.js';
import { Plan } from '../../src/core/plan.js';
import type { Check } from '../../src/core/report.js';
import { testContext } from './context.js';

/** A plan of one site that is never stopped, stored by both engines below `dir`. */
export async function planIn(
  dir: string,
  site: { root: string; app: string; fileSets: object[]; [key: string]: unknown },
): Promise<Plan> {
  await mkdir(join(dir, 'restored'), { recursive: true });
  await writeFile(join(dir, 'restic.key'), 'a test', { mode: 0o600 });
  return Plan.parse({
    ...{ schema: 1, site: 'live', siteId: 'live', host: 'local', uncovered: [], options: {} },
    ...{ services: [{ kind: 'none', name: 'none', stopTimeoutMs: 0 }], databases: [] },
    repositories: [
      { name: 'nas', engine: 'restic', location: join(dir, 'nas'), password: { file: join(dir, 'restic.key') } },
      { name: 'local', engine: 'archive', location: join(dir, 'local') },
    ],
    ...{ hooks: {}, notify: [], limits: { downtimeMs: 60_000, reserveBytes: 1e6 }, objectives: {} },
    ...{ restore: { root: join(dir, 'restored') }, restoreTest: { scratch: join(dir, 'scratch'), sample: '1/1' } },
    ...{ configText: '' },
    ...site,
  });
}

/** The plan that `app` makes of the site at `root`, stored as by `planIn`. */
export async function planOfApp(dir: string, app: string, root: string, given: object = {}): Promise<Plan> {
  const { options: schema, plan, looksInto } = apps[app]!;
  const options = schema.parse(given) as Record<string, unknown>;
  const { databases, fileSets, uncovered, leftOut } = plan({ root, options }, await gatherFacts(root, [], looksInto));
  return planIn(dir, { app, root, databases, fileSets, uncovered, leftOut, options });
}

export type RepositoryName = 'nas' | 'local';

/** The steps of a run as a worker calls them, with no workflow and no server: one capture at a time. */
export interface Pipeline {
  state: StateDir;
  /** Dumps, and returns the capture's id. */
  capture(): Promise<string>;
  store(captureId: string, repository: RepositoryName): Promise<Stored>;
  /** Notes of the verification. */
  verify(repository: RepositoryName, stored: Stored): Promise<string[]>;
  restore(repository: RepositoryName, target: string, only?: string[]): Promise<Fetched>;
  /** Fetches into scratch, lets `spoil` damage the tree, and runs the application's checks. */
  prove(repository: RepositoryName, spoil?: (tree: string) => Promise<void>): Promise<Check[]>;
  /** The same for each of `spoils`, from what was fetched once; the whole tree has to prove first. */
  proveEach(repository: RepositoryName, spoils: ((tree: string) => Promise<void>)[]): Promise<Check[][]>;
  /** The same, but damages what the engine brings before anything is compared: a tool that lies with exit code 0. */
  proveBrought(repository: RepositoryName, spoil: (target: string) => unknown): Promise<Check[]>;
}

/** What is done to a restored tree, and what the restore test has to say of it: the place. */
export type Damage = [what: string, act: (tree: string) => unknown, told: RegExp];

/** A restore test of each group of damages (one must not hide another): it fails, and names the place of every one. */
export async function eachIsNamed(pipe: Pipeline, groups: readonly Damage[][]): Promise<void> {
  const spoils = groups.map((group) => async (tree: string) => {
    for (const [, act] of group) await act(tree);
  });
  for (const [n, checks] of (await pipe.proveEach('local', spoils)).entries()) {
    const told = JSON.stringify(checks.filter(({ ok }) => !ok));
    for (const [what, , words] of groups[n] ?? []) assert.match(told, words, what);
  }
}

export async function createPipeline(plan: Plan, dir?: string): Promise<Pipeline> {
  const { state } = await testContext({
    site: plan.site,
    dir: dir ?? (await mkdtemp(join(tmpdir(), 'holdfast-pipe-'))),
  });
  const deps = { state, host: 'local', hostId: 'id', configPath: '', namespace: 'n', namespaceId: 'n' };
  const digest = await freezePlan(state.plans, plan);
  const base = { site: plan.site, host: 'local', hostId: 'id', plan: digest };
  const ctx = await testContext({ dir: state.root });
  for (const repository of plan.repositories) await engines[repository.engine].init(repository, ctx);
  const run = <I, O>(step: (input: I) => Promise<O>, input: I, runId = randomUUID()): Promise<O> =>
    new MockActivityEnvironment({ workflowExecution: { workflowId: 'run', runId }, workflowType: 'test' }).run(
      step,
      input,
    ) as Promise<O>;
  const treeOf = (runId: string) =>
    join(plan.restoreTest.scratch ?? '', `holdfast-${plan.site}-${runId.replaceAll('-', '').slice(-12)}`);
  const fetching = async (repository: RepositoryName) => {
    const runId = randomUUID();
    const asked = { ...base, snapshot: 'latest', into: 'scratch' as const, repository };
    return { runId, snapshot: (await run(fetch(deps), asked, runId)).snapshot.id, repository };
  };
  const checking = async ({
    runId,
    ...of
  }: {
    runId: ReturnType<typeof randomUUID>;
    snapshot: string;
    repository: string;
  }) => (await run(prove(deps), { ...base, ...of, full: true, boot: false }, runId)).checks;
  return {
    state,
    capture: async () => {
      const captureId = randomUUID();
      await run(dump(deps), { ...base, captureId });
      return captureId;
    },
    store: (captureId, repository) =>
      run(store(deps), { ...base, captureId, repository, kind: 'regular' as SnapshotKind } as never),
    verify: async (repository, { snapshot }) => {
      const input = { ...base, repository, snapshot: snapshot.id, known: snapshot, depth: 'structure' as const };
      return (await run(verify(deps), input)).notes;
    },
    restore: (repository, target, only) =>
      run(fetch(deps), {
        ...base,
        ...{ snapshot: 'latest', into: 'target' as const, repository, target },
        ...(only ? { only } : {}),
      }),
    prove: async (repository, spoil) => {
      const fetched = await fetching(repository);
      await spoil?.(join(treeOf(fetched.runId), 'site'));
      return checking(fetched);
    },
    proveEach: async (repository, spoils) => {
      const fetched = await fetching(repository);
      const whole = await checking(fetched);
      assert.deepEqual(
        whole.filter(({ ok }) => !ok),
        [],
        'what is whole proves',
      );
      const found: Check[][] = [];
      for (const spoil of spoils) {
        const runId = randomUUID();
        execFileSync('cp', ['-a', treeOf(fetched.runId), treeOf(runId)]);
        await spoil(join(treeOf(runId), 'site'));
        found.push(await checking({ ...fetched, runId }));
      }
      return found;
    },
    proveBrought: async (repository, spoil) => {
      const spec = plan.repositories.find(({ name }) => name === repository);
      const engine = engines[spec!.engine];
      const { restore } = engine;
      engine.restore = async (repo, snapshot, target, options, given) => {
        const done = await restore(repo, snapshot, target, options, given);
        // Nothing but the whole snapshot: small parts are fetched by themselves before.
        if (options.paths === undefined) await spoil(target);
        return done;
      };
      return fetching(repository)
        .then(checking)
        .finally(() => {
          engine.restore = restore;
        });
    },
  };
}
