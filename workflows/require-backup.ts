import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  ParentClosePolicy,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { failure } from '../src/core/failures.js';
import { parseAddress, TASK_QUEUE, workflowId } from '../src/core/names.js';
import type { Report } from '../src/core/report.js';

export interface RequireBackupOptions {
  /** These repositories alone; default all of the site's. */
  repositories?: string[];
  /** Why, as the report says it; default names the workflow that asks. */
  reason?: string;
}

/**
 * For workflows of your own: backs up a site and resolves with the report once every repository has a verified copy. Throws
 * RequiredBackupFailed, which is not retried, for any other outcome than `completed`. The backup is a child on Holdfast's
 * queue that neither a cancellation nor the end of your workflow ends, because it may hold an application down.
 *
 * @param site as in holdfast.yaml, `cms` or `cms@host`
 */
export async function requireBackup(site: string, options: RequireBackupOptions = {}): Promise<Report> {
  const { workflowType } = workflowInfo();
  const { repositories, reason = `required by ${workflowType}`.slice(0, 200) } = options;
  const input = { site, reason, ...(repositories ? { repositories } : {}) };
  const id = workflowId('backup', parseAddress(site), new Date());
  const refuse = (what: string, advice = `read the report of ${id}`, outcome?: string) =>
    failure('RequiredBackupFailed', {
      step: workflowType,
      host: parseAddress(site).host,
      what,
      advice,
      details: { workflowId: id, ...(outcome ? { outcome } : {}) },
    });
  try {
    const child = await startChild<(input: unknown) => Promise<Report>>('backup', {
      taskQueue: TASK_QUEUE,
      workflowId: id,
      args: [input],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      cancellationType: ChildWorkflowCancellationType.ABANDON,
      staticSummary: `${site}: ${reason}`,
      memo: { site },
    });
    const report = await child.result();
    if (report.outcome === 'completed') return report;
    throw refuse(`the backup of ${site} ended ${report.outcome}`, undefined, report.outcome);
  } catch (error) {
    // Our own cancellation, not one of the backup: that one is a failure of what we require.
    if (CancellationScope.current().consideredCancelled) throw error;
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      throw refuse(`another backup of ${site} started in the same second`);
    if (error instanceof ChildWorkflowFailure) {
      const [what, ...advice] = (error.cause?.message ?? error.message).split('; ');
      throw refuse(`the backup of ${site} failed: ${what}`, advice.join('; ') || undefined);
    }
    throw error;
  }
}
