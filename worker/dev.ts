import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openState } from '../activities/site/state.js';
import { watchdogAlive } from '../activities/site/watchdog-status.js';
import { DEFAULT_HOST } from '../src/core/names.js';
import { startDevServer } from './dev-server.js';
import { freePorts } from './free-ports.js';
import { runWorker } from './main.js';
import { spawnWatchdog } from './spawn-watchdog.js';
import { findTemporal } from './temporal-binary.js';

/** Temporal's own ports, so that `temporal` and `holdfast` find the server without being told. */
const USUAL_PORTS = { grpc: 7233, ui: 8233 };
const WATCHDOG_LIMIT_MS = 20_000;

export interface DevOptions {
  configPath: string;
  stateDir: string;
  host?: string;
  /** Ends it, in order; `holdfast dev` aborts it on SIGINT and SIGTERM. */
  signal: AbortSignal;
  say?: (line: string) => void;
}

/**
 * All of Holdfast in one command, for one machine: Temporal's dev server with a database file in the state directory,
 * its UI, a worker here and the watchdog as a process of its own. Ends the worker first, then the watchdog (which
 * brings back what the worker left down), the server last.
 */
export async function runDev(options: DevOptions): Promise<void> {
  const { configPath, stateDir, host = DEFAULT_HOST, signal, say = () => {} } = options;
  const temporal = await findTemporal({ say });
  const dir = join(stateDir, 'temporal');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const ports = await freePorts(USUAL_PORTS);
  const wanted = process.env.TEMPORAL_NAMESPACE || 'default';
  const server = await startDevServer({ temporal, namespace: wanted, dbFile: join(dir, 'temporal.db'), ports });
  const { address, namespace } = server;
  say(`Temporal at ${address}, namespace ${namespace}${server.uiUrl ? `, UI at ${server.uiUrl}` : ''}`);
  if ('path' in temporal && !onPath(temporal.path)) say(`the temporal command, which is not on PATH: ${temporal.path}`);
  const watchdog = await startWatchdog(stateDir);
  try {
    await runWorker({ address, namespace, host, stateDir, configPath, signal, say });
  } finally {
    await endWatchdog(watchdog);
    await server.stop();
  }
}

const onPath = (path: string) => (process.env.PATH ?? '').split(delimiter).includes(dirname(path));

/** One of our own, unless this host has a resident one already; alive before the worker looks for one and starts its own. */
async function startWatchdog(stateDir: string): Promise<ChildProcess | undefined> {
  const state = await openState(stateDir);
  if (await watchdogAlive(state)) return undefined;
  const child = spawnWatchdog(stateDir, 'inherit');
  const until = Date.now() + WATCHDOG_LIMIT_MS;
  while (!(await watchdogAlive(state)) && child.exitCode === null && Date.now() < until) await sleep(50);
  return child;
}

async function endWatchdog(watchdog: ChildProcess | undefined): Promise<void> {
  if (!watchdog || watchdog.exitCode !== null || watchdog.signalCode !== null) return;
  const closed = once(watchdog, 'exit');
  watchdog.kill('SIGTERM');
  await closed;
}
