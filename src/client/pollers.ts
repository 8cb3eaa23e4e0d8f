import type { Client } from '@temporalio/client';
import { failure } from '../core/failures.js';
import { hostQueue, TASK_QUEUE } from '../core/names.js';

/** A worker's poll lasts up to a minute, and the server lists pollers for five: older than this is a dead one. */
const ALIVE_MS = 120_000;
/** temporal.api.enums.v1.TaskQueueType */
const TYPES = { workflow: 1, activity: 2 } as const;

export interface Poller {
  identity: string;
  lastSeen: Date;
}

/** Who polled a queue within the last two minutes. Clocks count: they are the server's and ours. */
export async function pollers(client: Client, queue: string, type: keyof typeof TYPES): Promise<Poller[]> {
  const answer = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: queue },
    taskQueueType: TYPES[type],
  });
  return (answer.pollers ?? [])
    .map(({ identity, lastAccessTime }) => ({
      identity: identity ?? '',
      lastSeen: new Date(Number(lastAccessTime?.seconds ?? 0) * 1000),
    }))
    .filter(({ lastSeen }) => Date.now() - lastSeen.getTime() < ALIVE_MS);
}

/** Throws NoWorker where nobody would run the workflow, or its steps on that host: such a run would only wait. */
export async function requireWorker(client: Client, step: string, host: string): Promise<void> {
  const [workflows, steps] = await Promise.all([
    pollers(client, TASK_QUEUE, 'workflow'),
    pollers(client, hostQueue(host), 'activity'),
  ]);
  if (workflows.length > 0 && steps.length > 0) return;
  throw failure('NoWorker', {
    step,
    host,
    what: `no worker for host ${host} polls namespace ${client.options.namespace}`,
  });
}
