import { NativeConnection, type Worker } from '@temporalio/worker';
import { defaultStateDir } from '../activities/site/state.js';
import { resolveWhere, type Where } from '../src/client/connect.js';
import { DEFAULT_HOST } from '../src/core/names.js';
import { keepWatchdog, prepareHost } from './prepare-host.js';
import { createWorkers } from './workers.js';

export interface RunWorkerOptions extends Where {
  configPath: string;
  stateDir?: string;
  host?: string;
  /** Ends the worker: running steps are given back, an application that is down is started by the watchdog or the next attempt. */
  signal?: AbortSignal;
  say?: (line: string) => void;
}

/**
 * The worker of one host. Before it connects it brings back every application that its predecessor left down, and sees that a
 * watchdog runs. Resolves when `signal` has ended it; rejects when a worker fails, so that a supervisor starts it anew.
 */
export async function runWorker(options: RunWorkerOptions): Promise<void> {
  const { configPath, signal, host = DEFAULT_HOST, stateDir = defaultStateDir(), say = () => {} } = options;
  await prepareHost(stateDir, host, say);
  const { namespace, ...where } = resolveWhere(options);
  const connection = await NativeConnection.connect(where);
  try {
    const workers = await createWorkers({ connection, namespace, configPath, stateDir, host });
    say(`worker of host ${host} is ready`);
    const leave = await keepWatchdog(stateDir, say);
    await runUntil(workers, signal).finally(leave);
  } finally {
    await connection.close();
  }
}

/** Runs them side by side; the end of one ends all. */
async function runUntil(workers: Worker[], signal: AbortSignal | undefined): Promise<void> {
  const end = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  signal?.addEventListener('abort', end, { once: true });
  try {
    const runs = workers.map((worker) => worker.run().finally(end));
    if (signal?.aborted) end();
    const ended = await Promise.allSettled(runs);
    for (const each of ended) if (each.status === 'rejected') throw each.reason;
  } finally {
    signal?.removeEventListener('abort', end);
  }
}
