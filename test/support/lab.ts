import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { openState } from '../../activities/site/state.js';
import { connect } from '../../src/client/connect.js';
import { DEFAULT_HOST, hostQueue } from '../../src/core/names.js';
import { findTemporal, startDevServer } from '../../worker/dev-server.js';
import { freePorts } from '../../worker/free-ports.js';
import { CHEAP_PASSWORD, layCheapRepository } from './cheap-restic.js';
import { commandArgs } from './command.js';
import { createLabSite, type LabSite, siteOf } from './lab-site.js';
import { eventually } from './toy.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// biome-ignore lint/suspicious/noExplicitAny: a config as a person writes it; Holdfast's own schema judges it
type ConfigObject = any;

export interface LabOptions {
  startMs?: number;
  videos?: number;
  mb?: number;
  engines?: ('archive' | 'restic')[];
  /** A compiled copy of the checkout: its worker starts without a compiler and a bundler. */
  built?: string;
  /** A Temporal of its own, with a database file, that can be killed and started again. */
  ownServer?: boolean;
  /** A restic repository with a password of its own, whose key costs as much as anybody’s: where time is measured. */
  dearRestic?: boolean;
  configure?: (config: ConfigObject, lab: { dir: string; site: LabSite }) => void;
}

/** A machine of its own for one test file: directory, site, repositories, namespace, worker and watchdog. */
export interface Lab {
  dir: string;
  state: string;
  scratch: string;
  restored: string;
  configPath: string;
  client: Client;
  /** Set for a lab with a server of its own; untuned it lacks the settings that make the dev server fast, and has nothing of before: a database file keeps its WAL mode. */
  server?: { kill: () => Promise<void>; start: (untuned?: boolean) => Promise<void> };
  site: LabSite;
  /** Location per repository: `nas` is restic's, `local` the archive's. */
  repositories: Record<string, string>;
  passwordFile: string;
  env: Record<string, string>;
  /** Changes holdfast.yaml; a worker reads it anew for each run. Returns what puts the old one back. */
  configure: (change: (config: ConfigObject) => void) => Promise<() => Promise<void>>;
  worker: () => ChildProcess | undefined;
  startWorker: (env?: Record<string, string>) => Promise<ChildProcess>;
  startWatchdog: (env?: Record<string, string>) => Promise<ChildProcess>;
  /** Pid of the watchdog that has this state directory, whoever started it. */
  watchdogPid: () => number | undefined;
  /** Runs `holdfast <args>` to its end. */
  holdfast: (args: string[], more?: { cwd?: string; env?: Record<string, string> }) => Promise<Ran>;
  end: () => Promise<void>;
}

export interface Ran {
  code: number;
  out: string;
  err: string;
}

/** A lab on the run's Temporal server, or the reason why there can be none. */
export async function createLab(options: LabOptions = {}): Promise<Lab | string> {
  const { TEMPORAL_ADDRESS: _, ...bare } = process.env;
  const find = findTemporal({ fetch: false, ...(options.ownServer ? { env: bare } : {}) });
  const temporal = await find.catch((error: Error) => error.message);
  if (typeof temporal === 'string') return temporal;
  const namespace = `lab-${randomBytes(4).toString('hex')}`;
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-lab-'));
  const ports = await freePorts();
  const launch = (untuned = false) =>
    startDevServer({
      ...{ temporal, namespace, headless: true },
      ...(options.ownServer ? { ports, dbFile: join(dir, untuned ? 'untuned.db' : 'temporal.db'), untuned } : {}),
    });
  let server = await launch();
  const [state, scratch, restored] = ['state', 'scratch', 'restored'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  await Promise.all([scratch, restored, join(dir, 'repositories')].map((path) => mkdir(path)));
  await openState(state);
  const site = await createLabSite(dir, options);
  const [passwordFile, configPath] = [join(dir, 'restic.key'), join(dir, 'holdfast.yaml')];
  const password = options.dearRestic ? randomBytes(16).toString('hex') : CHEAP_PASSWORD;
  await writeFile(passwordFile, password, { mode: 0o600 });
  const repositories = { nas: join(dir, 'repositories/restic'), local: join(dir, 'repositories/archive') };
  if (!options.dearRestic) await layCheapRepository(repositories.nas);
  const names = (options.engines ?? ['restic', 'archive']).map((engine) => (engine === 'restic' ? 'nas' : 'local'));
  let config: ConfigObject = {
    version: 1,
    restore: { root: restored },
    repositories: {
      nas: { engine: 'restic', location: repositories.nas, password: { file: passwordFile } },
      local: { engine: 'archive', location: repositories.local },
    },
    sites: { cms: siteLines(site, names, scratch) },
  };
  options.configure?.(config, { dir, site });
  const writeConfig = () => writeFile(configPath, JSON.stringify(config, null, 1), { mode: 0o600 });
  await writeConfig();
  const client = await connect({ address: server.address, namespace });
  const env = {
    TEMPORAL_ADDRESS: server.address,
    TEMPORAL_NAMESPACE: namespace,
    HOLDFAST_STATE_DIR: state,
    // restic may have a cache of the person who runs the tests: nothing of a lab belongs there.
    XDG_CACHE_HOME: join(dir, 'cache'),
  };
  const command = commandArgs(options.built);
  const started: ChildProcess[] = [];
  const start = (name: string, args: string[], more: Record<string, string> = {}) => {
    const child = spawn(process.execPath, [...command, ...args], {
      cwd: ROOT,
      env: { ...process.env, ...env, ...more },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    started.push(child);
    const log = createWriteStream(join(dir, `${name}.log`), { flags: 'a' });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    return child;
  };
  const watchdogPid = () => {
    try {
      const { pid } = JSON.parse(readFileSync(join(state, 'watchdog.json'), 'utf8')) as { pid: number };
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('watchdog') ? pid : undefined;
    } catch {
      return undefined;
    }
  };
  let worker: ChildProcess | undefined;
  return {
    dir,
    state,
    scratch,
    restored,
    configPath,
    client,
    ...(options.ownServer
      ? {
          server: {
            kill: async () => {
              process.kill(server.pid ?? 0, 'SIGKILL');
              await server.stop();
            },
            start: async (untuned) => {
              server = await launch(untuned);
            },
          },
        }
      : {}),
    site,
    repositories,
    passwordFile,
    env,
    configure: async (change) => {
      const before = structuredClone(config);
      change(config);
      await writeConfig();
      return async () => {
        config = before;
        await writeConfig();
      };
    },
    worker: () => worker,
    startWorker: async (more) => {
      worker = start('worker', ['worker', '--config', configPath], more);
      const own = worker;
      await eventually('a worker is ready', 300_000, () => {
        if (own.exitCode !== null) throw new Error(`the worker ended: ${readFileSync(join(dir, 'worker.log'))}`);
        return polledBy(client, own.pid);
      });
      return worker;
    },
    startWatchdog: async (more) => {
      const child = start('watchdog', ['watchdog'], more);
      await eventually('the watchdog runs', 60_000, () => {
        if (child.exitCode !== null) throw new Error(`it ended: ${readFileSync(join(dir, 'watchdog.log'))}`);
        return watchdogPid() === child.pid;
      });
      return child;
    },
    watchdogPid,
    holdfast: (args, more = {}) => {
      const whole = { cwd: more.cwd ?? dir, env: { ...process.env, ...env, ...more.env }, maxBuffer: 64e6 };
      return new Promise((resolve) => {
        execFile(process.execPath, [...command, ...args], whole, (error, out, err) =>
          resolve({ code: error ? Number(error.code ?? 1) : 0, out, err }),
        );
      });
    },
    end: async () => {
      // A call that is tried again at a server that died would find its channel closed, outside of every promise.
      if (!options.ownServer) await client.connection.close();
      for (const child of started) await endProcess(child);
      const watchdog = watchdogPid();
      if (watchdog) process.kill(watchdog, 'SIGTERM');
      await site.stop();
      await server.stop();
      if (!process.env.HOLDFAST_KEEP_LABS) await rm(dir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function siteLines(site: LabSite, repositories: string[], scratch: string): ConfigObject {
  return {
    ...siteOf(site),
    repositories,
    limits: { reserve: '10MB' },
    restoreTest: { scratch, boot: true, sample: '1/1', start: { argv: site.command.argv.slice(0, 2) } },
  };
}

/** Whether this very worker polls for the steps of its host. */
async function polledBy(client: Client, pid: number | undefined): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: hostQueue(DEFAULT_HOST) },
    taskQueueType: 2,
  });
  return pollers?.some(({ identity }) => identity?.endsWith(` pid ${pid}`)) ?? false;
}

/** SIGTERM, and SIGKILL to one that does not end within 10 s. */
async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  child.kill('SIGCONT');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await ended;
  clearTimeout(timer);
}
