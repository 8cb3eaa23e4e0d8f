import type { Client } from '@temporalio/client';
import type { HostFindings } from '../core/findings.js';
import { hostQueue, TASK_QUEUE } from '../core/names.js';
import { pollers } from './pollers.js';

/** Has the host's own worker look at its sites (or at one); undefined where no worker would answer. */
export async function checkOnWorker(
  client: Client,
  host: string,
  ask: { site?: string; init: boolean },
): Promise<HostFindings | undefined> {
  const polled = await Promise.all([
    pollers(client, TASK_QUEUE, 'workflow'),
    pollers(client, hostQueue(host), 'activity'),
  ]);
  if (polled.some((found) => found.length === 0)) return undefined;
  const stamp = `${new Date().toISOString().slice(0, 19)}Z`;
  return client.workflow.execute<(input: unknown) => Promise<HostFindings>>('check', {
    taskQueue: TASK_QUEUE,
    workflowId: `check-${ask.site ?? host}-${stamp}`,
    args: [{ host, ...ask }],
    staticSummary: `Look at ${ask.site ?? `all sites of ${host}`}`,
  });
}
