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
      const runId = randomUUID();
      const fetched = await run(
        fetch(deps),
        { ...base, snapshot: 'latest', into: 'scratch' as const, repository },
        runId,
      );
      const tag = runId.replaceAll('-', '').slice(-12);
      await spoil?.(join(plan.restoreTest.scratch ?? '', `holdfast-${plan.site}-${tag}`, 'site'));
      const input = { ...base, snapshot: fetched.snapshot.id, repository, full: true, boot: false };
      return (await run(prove(deps), input, runId)).checks;
    },
  };
}
