import { SimplePlugin } from '@temporalio/plugin';
import type { NativeConnection, Worker } from '@temporalio/worker';
import { DEFAULT_HOST, TASK_QUEUE } from './core/names.js';

/**
 * The plugin for a worker of your own. It wires:
 * - `runWorker`: Holdfast's workers (workflows, host steps, transfers) run beside yours, on the same connection and namespace,
 *   in the same process, from your worker's start to its end. Your bundle needs none of our workflows, and your options
 *   stay as they are: nothing of ours is merged into your activities, workflows, interceptors or converter.
 */

export interface HoldfastPluginOptions {
  /** The name of this machine in `site@host`; default `local`. */
  host?: string;
  /** Path of holdfast.yaml; default `./holdfast.yaml`, then `/etc/holdfast/holdfast.yaml`. */
  configPath?: string;
  /** Where Holdfast keeps its records; default as for `holdfast worker`. */
  stateDir?: string;
}

interface Beside {
  workers: Worker[];
  /** Ends when they have; rejects when one of them breaks. */
  ran: Promise<void>;
}

export class HoldfastPlugin extends SimplePlugin {
  #users = 0;
  #beside: Promise<Beside> | undefined;

  constructor(private readonly settings: HoldfastPluginOptions = {}) {
    super({ name: 'holdfast.HoldfastPlugin' });
  }

  /** Runs ours beside `worker`: once, also where several workers of yours share the plugin. Rejects where ours cannot start or break. */
  override async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    // A plugin of the connection reaches our own workers too.
    if (worker.options.taskQueue.split('@')[0] === TASK_QUEUE) return super.runWorker(worker, next);
    // First, and before any wait: until a worker runs, nobody can shut it down, and its connection cannot be closed.
    const yours = super.runWorker(worker, next);
    this.#users++;
    this.#beside ??= this.#start(worker);
    const ours = this.#beside.then(({ ran }) => ran);
    try {
      await Promise.race([yours, ours]).catch(() => shutDown(worker));
      await yours;
    } finally {
      await this.#leave();
    }
  }

  async #start(worker: Worker): Promise<Beside> {
    const { connection } = worker;
    if (!connection) throw new Error('HoldfastPlugin needs a worker with a connection');
    const workers = await this.createWorkers(connection, worker.options.namespace);
    const ran = runTogether(workers);
    // Looked at by everybody who runs beside them; until then it is nobody's unhandled rejection.
    ran.catch(() => undefined);
    return { workers, ran };
  }

  /** The last of your workers ends ours, and waits for what they still do: an application may be down. */
  async #leave(): Promise<void> {
    if (--this.#users > 0 || !this.#beside) return;
    const beside = this.#beside;
    this.#beside = undefined;
    const { workers, ran } = await beside;
    workers.forEach(shutDown);
    await ran;
  }

  /** Loaded when it runs, so that importing the plugin into a client costs nothing. Applications that a predecessor left down come first. */
  protected async createWorkers(connection: NativeConnection, namespace: string): Promise<Worker[]> {
    const { Runtime } = await import('@temporalio/worker');
    const { defaultStateDir } = await import('../activities/site/state.js');
    const { prepareHost } = await import('../worker/prepare-host.js');
    const { createWorkers } = await import('../worker/workers.js');
    const { host = DEFAULT_HOST, stateDir = defaultStateDir(), ...rest } = this.settings;
    await prepareHost(stateDir, host, (line) => Runtime.instance().logger.info(`holdfast: ${line}`));
    return createWorkers({ connection, namespace, stateDir, host, ...rest });
  }
}

/** Ends when all have ended: one that breaks shuts the others down, and rejects. */
async function runTogether(workers: Worker[]): Promise<void> {
  const all = workers.map((each) => each.run().finally(() => workers.forEach(shutDown)));
  for (const end of await Promise.allSettled(all)) if (end.status === 'rejected') throw end.reason;
}

function shutDown(worker: Worker): void {
  if (worker.getState() === 'RUNNING') worker.shutdown();
}
