import type { Client, WorkflowHandle } from '@temporalio/client';
import { failure } from '../core/failures.js';
import { parseAddress, WORKFLOWS, type WorkflowName, workflowIdPrefix } from '../core/names.js';

/** A run of ours as the server's list tells it. */
export interface ListedRun {
  id: string;
  runId: string;
  workflow: string;
  status: string;
  startedAt: Date;
  closedAt?: Date;
}

const STAMP = /-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;

/** Runs of one site (its own, by id), newest first. The server's list lags a second or so behind. */
export async function listRuns(
  client: Client,
  site: string,
  options: { running?: boolean; limit?: number } = {},
): Promise<ListedRun[]> {
  const ids = WORKFLOWS.filter((name) => name !== 'watch').map(
    (name) => `WorkflowId STARTS_WITH "${workflowIdPrefix(name, parseAddress(site))}-"`,
  );
  const query = `(${ids.join(' OR ')})${options.running ? ' AND ExecutionStatus = "Running"' : ''}`;
  const runs: ListedRun[] = [];
  for await (const run of client.workflow.list({ query })) {
    // "backup-cms-" is also how the runs of a site called cms-2 begin.
    if (!isRunOf(run.workflowId, site)) continue;
    runs.push({
      id: run.workflowId,
      runId: run.runId,
      workflow: run.type,
      status: run.status.name,
      startedAt: run.startTime,
      ...(run.closeTime ? { closedAt: run.closeTime } : {}),
    });
    if (runs.length >= (options.limit ?? 200)) break;
  }
  return runs.sort((a, b) => b.startedAt.getTime() - a.startedAt.getTime());
}

/** Whether a run's id is one that a site's runs get from us, with the time that schedules and the command append. */
export function isRunOf(id: string, site: string): boolean {
  const prefix = id.replace(STAMP, '');
  return prefix !== id && WORKFLOWS.some((name) => prefix === workflowIdPrefix(name, parseAddress(site)));
}

/** Finds a run by its id, or the newest running one of a site (of `workflows`, where given). Throws InvalidInput where there is none. */
export async function findRun(
  client: Client,
  text: string,
  workflows: readonly WorkflowName[] = WORKFLOWS,
): Promise<WorkflowHandle> {
  const handle = client.workflow.getHandle(text);
  const exists = await handle.describe().then(
    () => true,
    (error: Error) => {
      if (error.name === 'WorkflowNotFoundError') return false;
      throw error;
    },
  );
  if (exists) return handle;
  if (!STAMP.test(text)) {
    const running = await listRuns(client, text, { running: true });
    const run = running.find(({ workflow }) => workflows.includes(workflow as WorkflowName));
    if (run) return client.workflow.getHandle(run.id);
  }
  throw failure('InvalidInput', {
    step: 'find',
    host: 'Temporal',
    what: `there is no run ${text}, and no running one of a site of that name`,
    advice: 'see them with: holdfast history SITE',
  });
}
