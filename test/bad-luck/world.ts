import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import type { Deps } from '../../activities/deps.js';
import { hostSteps, transferSteps } from '../../activities/index.js';
import type { StateDir } from '../../activities/site/api.js';
import { openState, readHostId } from '../../activities/site/state.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import { reportOf } from '../../src/client/follow.js';
import { hostQueue, TASK_QUEUE, transferQueue } from '../../src/core/names.js';
import type { Report } from '../../src/core/report.js';
import { workflowBundle } from '../../worker/bundle.js';
import { createLabSite, type LabSite, siteOf } from '../support/lab-site.js';
import type { Steps } from '../support/mock-steps.js';
import { eventually, runModule } from '../support/toy.js';
import { timeSkipping } from '../support/workflow-env.js';

// biome-ignore lint/suspicious/noExplicitAny: a config as a person writes it; Holdfast's own schema judges it
type ConfigObject = any;

/**
 * A site, its repositories, a watchdog and the real steps below the real workflows. The server skips time, so that what a step waits
 * between its attempts costs none.
 */
export interface World {
  dir: string;
  state: StateDir;
  site: LabSite;
  /** Each a file system of its own, where this user may mount one: see `mounted`. */
  disks: Record<'www' | 'state' | 'repositories' | 'scratch', string>;
  repositories: { nas: string; local: string };
  passwordFile: string;
  deps: Deps;
  steps: Steps;
  /** Changes holdfast.yaml while `use` runs. */
  configured: <T>(change: (cms: ConfigObject, config: ConfigObject) => void, use: () => Promise<T>) => Promise<T>;
  /** Runs a workflow to its end; `own` stands in for single steps, and mostly calls the real one. */
  run: (workflow: string, input?: object, own?: Partial<Steps>) => Promise<Report>;
  /** Lets virtual time pass: Temporal's clock goes ahead of this machine's. */
  sleep: (ms: number) => Promise<void>;
  /** Remounts a disk with other options (`size=1m`, `nr_inodes=9`, `ro`) while `use` runs. */
  mounted: <T>(disk: keyof World['disks'], options: string, use: () => Promise<T>) => Promise<T>;
  end: () => Promise<void>;
}

const DISKS = ['www', 'state', 'repositories', 'scratch'] as const;
const ROOMY = 'rw,size=300m,nr_inodes=100k';
const RESIDENT = fileURLToPath(new URL('../support/resident.ts', import.meta.url));

export const MAY_MOUNT = process.getuid?.() === 0;

/** Undefined where there is no server that skips time. */
export async function openWorld(): Promise<World | undefined> {
  const path = process.env.TEMPORAL_TEST_SERVER_PATH;
  if (!path) return undefined;
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bad-luck-'));
  const disks = Object.fromEntries(DISKS.map((name) => [name, join(dir, name)])) as World['disks'];
  for (const disk of Object.values(disks)) {
    await mkdir(disk, { mode: 0o755 });
    if (MAY_MOUNT) execFileSync('mount', ['-t', 'tmpfs', '-o', `${ROOMY},mode=755`, 'tmpfs', disk]);
  }
  const [site, state] = await Promise.all([
    createLabSite(disks.www, { startMs: 0, videos: 2, mb: 1 }),
    openState(disks.state),
  ]);
  const passwordFile = join(dir, 'restic.key');
  await writeFile(passwordFile, randomBytes(16).toString('hex'), { mode: 0o600 });
  const repositories = { nas: join(disks.repositories, 'restic'), local: join(disks.repositories, 'archive') };
  const configPath = join(dir, 'holdfast.yaml');
  let config: ConfigObject = {
    version: 1,
    restore: { root: join(disks.www, 'restored'), approval: 'input' },
    repositories: {
      nas: { engine: 'restic', location: repositories.nas, password: { file: passwordFile } },
      local: { engine: 'archive', location: repositories.local },
    },
    sites: {
      cms: {
        ...siteOf(site),
        repositories: ['local'],
        limits: { reserve: '100KB' },
        restoreTest: { scratch: disks.scratch, sample: '1/1' },
      },
    },
  };
  const writeConfig = () => writeFile(configPath, JSON.stringify(config, null, 1), { mode: 0o600 });
  await writeConfig();
  await mkdir(config.restore.root);
  const names = { host: 'local', namespace: 'default', namespaceId: 'default', configPath };
  const deps: Deps = {
    ...{ ...names, state, hostId: await readHostId(state), runState: async () => 'closed' },
    ...{ healthPatienceMs: 20_000 },
  };
  const steps: Steps = { ...hostSteps(deps), ...transferSteps(deps) };
  const watchdog = runModule(RESIDENT, [state.root]);
  await site.start();
  const [temporal] = await Promise.all([
    openTemporal(path, steps),
    eventually('the watchdog runs', 60_000, () => watchdogAlive(state)),
    site.healthy(60_000),
  ]);
  return {
    ...{ dir, state, site, disks, repositories, passwordFile, deps, steps },
    run: temporal.run,
    sleep: temporal.sleep,
    async configured(change, use) {
      const before = structuredClone(config);
      change(config.sites.cms, config);
      await writeConfig();
      try {
        return await use();
      } finally {
        config = before;
        await writeConfig();
      }
    },
    async mounted(disk, options, use) {
      remount(disks[disk], options);
      try {
        return await use();
      } finally {
        remount(disks[disk], ROOMY);
      }
    },
    async end() {
      watchdog.kill('SIGTERM');
      await site.stop();
      await temporal.end();
      if (MAY_MOUNT) for (const disk of Object.values(disks)) execFileSync('umount', ['-l', disk]);
      await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

export const remount = (disk: string, options: string): void =>
  void execFileSync('mount', ['-o', `remount,${options}`, disk]);

/** A server that skips time, and the three workers of this host on it, for the whole file. */
async function openTemporal(path: string, real: Steps) {
  Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: 'ERROR' } } });
  const [env, bundled] = await Promise.all([timeSkipping(path), workflowBundle()]);
  let own: Partial<Steps> = {};
  const activities = Object.fromEntries(
    Object.keys(real).map((name) => {
      const step = name as keyof Steps;
      return [name, (input: unknown) => ((own[step] ?? real[step]) as (input: unknown) => Promise<unknown>)(input)];
    }),
  );
  const throttle = { maxHeartbeatThrottleInterval: '200ms', defaultHeartbeatThrottleInterval: '200ms' } as const;
  const common = { connection: env.nativeConnection, namespace: env.namespace ?? 'default', ...throttle };
  const workers = await Promise.all([
    // A worker that a busy machine makes late must not cost virtual years.
    Worker.create({
      ...common,
      taskQueue: TASK_QUEUE,
      workflowBundle: bundled,
      stickyQueueScheduleToStartTimeout: '1h',
    }),
    Worker.create({ ...common, taskQueue: hostQueue('local'), activities }),
    Worker.create({ ...common, taskQueue: transferQueue('local'), activities }),
  ]);
  const runs = workers.map((worker) => worker.run());
  let count = 0;
  return {
    run: async (workflow: string, input: object = {}, stand: Partial<Steps> = {}): Promise<Report> => {
      own = stand;
      const workflowId = `${workflow}-${++count}`;
      const args = [{ site: 'cms', ...input }];
      return reportOf(
        await env.client.workflow.start(workflow, {
          taskQueue: TASK_QUEUE,
          workflowId,
          args,
          workflowTaskTimeout: '2m',
        }),
      );
    },
    sleep: (ms: number) => env.sleep(ms),
    async end() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(runs);
      await env.teardown();
    },
  };
}
