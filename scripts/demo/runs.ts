import type { ChildProcess } from 'node:child_process';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { reportOf } from '../../src/client/follow.js';
import type { RunHandle } from '../../src/client/start.js';
import type { Progress, Report } from '../../src/core/report.js';
import { runUrl } from '../../worker/dev-server.js';
import { now, PATIENCE_MS, until } from './clock.js';

export interface Finished {
  report: Report;
  /** From the request to the end of the run, as the one who asked saw it. */
  seconds: number;
  from: number;
  to: number;
  historyEvents: number;
  historyBytes: number;
  url: string;
}

/** Waits for a run that was asked for at `from`. */
export async function finished(
  handle: RunHandle,
  from: number,
  server: { uiUrl?: string; namespace: string },
): Promise<Finished> {
  const report = await reportOf(handle);
  const to = now();
  const description = await handle.describe();
  return {
    report,
    seconds: (to - from) / 1000,
    from,
    to,
    historyEvents: description.historyLength,
    historyBytes: Number(description.historySize ?? 0),
    url: runUrl(server, handle.workflowId, handle.firstExecutionRunId),
  };
}

/** Approves a restore in place as soon as it asks; a run that ends without asking is left alone. */
export async function approve(handle: RunHandle, site: string): Promise<void> {
  const ended = reportOf(handle).then(
    () => true,
    () => true,
  );
  const asks = until('the restore’s question', PATIENCE_MS, async () => {
    const progress = await handle.query<Progress>('progress').catch(() => undefined);
    return progress?.waitsFor;
  });
  if ((await Promise.race([ended, asks])) === true) return;
  const { captureId } = await handle.query<Report>('report');
  await (handle as WorkflowHandle).executeUpdate('approve', { args: [{ site, snapshot: captureId, by: 'the demo' }] });
}

/** Waits until the worker polls for that host's steps; throws as soon as it ends instead. */
export async function workerReady(client: Client, queue: string, worker: ChildProcess): Promise<void> {
  await until('the worker', PATIENCE_MS, async () => {
    if (worker.exitCode !== null || worker.signalCode !== null) throw new Error('the worker ended at its start');
    const { pollers } = await client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: queue },
      taskQueueType: 2,
    });
    return pollers?.length ? true : undefined;
  });
}
