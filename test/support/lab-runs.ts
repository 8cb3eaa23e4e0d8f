import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { reportOf, situation } from '../../src/client/follow.js';
import type { Progress, Report } from '../../src/core/report.js';
import type { Lab } from './lab.js';
import { eventually } from './toy.js';

let count = 0;

/** Starts a workflow as anybody would: through Temporal's own client, with nothing of ours. */
export function startPlain(lab: Lab, workflow: string, input: unknown): Promise<WorkflowHandle> {
  const workflowId = `${workflow}-${++count}-${Date.now()}`;
  return lab.client.workflow.start(workflow, { taskQueue: 'holdfast', workflowId, args: [input] });
}

/** Starts a workflow plainly and waits for its report. */
export async function runPlain(lab: Lab, workflow: string, input: unknown): Promise<Report> {
  return reportOf(await startPlain(lab, workflow, input));
}

/** Waits until a step of this name is with a worker, or the run has ended; resolves with whether it was seen. */
export async function untilStep(lab: Lab, handle: WorkflowHandle, name: string, withinMs = 60_000): Promise<boolean> {
  let seen = false;
  await eventually(`step ${name} of ${handle.workflowId}`, withinMs, async () => {
    const { pending, status } = await situation(lab.client, handle);
    seen = pending.some((step) => step.name === name && !step.waiting);
    return seen || status !== 'RUNNING';
  });
  return seen;
}

/**
 * Lets a restore go ahead whenever it asks: once more where it was reset, and whatever dies meanwhile. Call what it returns
 * when the run has ended.
 */
export function keepApproving(handle: WorkflowHandle, site = 'cms'): () => void {
  let over = false;
  void (async () => {
    for (; !over; await sleep(200, undefined, { ref: false })) {
      try {
        const progress = await handle.query<Progress>('progress');
        if (progress.waitsFor?.startsWith('approval')) await approve(handle, site);
      } catch {} // No worker, or no server, right now.
    }
  })();
  return () => {
    over = true;
  };
}

/** Waits until a restore asks, and lets it go ahead. */
export async function approve(handle: WorkflowHandle, site = 'cms'): Promise<string> {
  await eventually('the restore asks', 60_000, async () => {
    const progress = await handle.query<Progress>('progress');
    return progress.waitsFor?.startsWith('approval') || progress.outcome;
  });
  const { captureId } = await handle.query<Report>('report');
  return handle.executeUpdate<string, [object]>('approve', { args: [{ site, snapshot: captureId, by: 'a test' }] });
}
