import {
  ApplicationFailure,
  CancelledFailure,
  condition,
  defineQuery,
  defineUpdate,
  isCancellation,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';

/** Workflows by our names that end as the site's name says, with the reports that the real ones would have. */
type Answer = { outcome: string; type?: string };
const ANSWERS: Record<string, Answer> = {
  good: { outcome: 'completed' },
  part: { outcome: 'partial', type: 'RepositoryUnreachable' },
  skip: { outcome: 'skipped' },
  bad: { outcome: 'failed', type: 'RepositoryPassword' },
  down: { outcome: 'failed', type: 'ApplicationDown' },
  wrong: { outcome: 'failed', type: 'UnknownRepository' },
};

export async function backup(input: { site: string; reason?: string }): Promise<unknown> {
  const { workflowId, runId } = workflowInfo();
  const progress = {
    step: 'store',
    app: 'up',
    since: new Date().toISOString(),
    waitsFor: undefined as string | undefined,
  };
  const answer = ANSWERS[input.site];
  const report = {
    schemaVersion: 1,
    workflow: 'backup',
    workflowId,
    runId,
    site: input.site,
    host: 'local',
    outcome: answer?.outcome ?? 'completed',
    said: `${input.site} ended ${answer?.outcome ?? 'completed'}`,
    startedAt: new Date().toISOString(),
    endedAt: new Date().toISOString(),
    captureId: '1f0e9d8c-0000-4000-8000-000000000000',
    repositories: [
      { repository: 'nas', engine: 'archive', offsite: false, snapshot: 'abcdef01'.padEnd(64, '2'), level: 'verified' },
    ],
    steps: [],
    failures: answer?.type
      ? [{ step: 'store', type: answer.type, message: `store on local: ${answer.type}; do this` }]
      : [],
    notes: ['now → then: rows 26 → 24'],
    uncovered: [],
  };
  setHandler(defineQuery('progress'), () => progress);
  setHandler(defineQuery('report'), () => report);
  if (input.site === 'slow') {
    try {
      await condition(() => false);
    } catch (error) {
      if (!isCancellation(error)) throw error;
      report.outcome = 'cancelled';
      report.said = 'slow was cancelled; the application is up';
      throw new CancelledFailure(report.said);
    }
  }
  if (input.site === 'ask') {
    let approved = '';
    progress.waitsFor = `approval of the restore of ask from abcdef01`;
    setHandler(
      defineUpdate<string, [{ site: string; snapshot: string; by: string }]>('approve'),
      ({ site, snapshot }) => {
        approved = `${site} ${snapshot}`;
        return `restore of ${site} from ${snapshot} goes ahead`;
      },
    );
    await condition(() => approved !== '');
    report.said = `approved ${approved}`;
  }
  if (report.outcome === 'failed')
    throw ApplicationFailure.create({
      message: report.failures[0]?.message,
      type: answer?.type,
      nonRetryable: true,
      details: [report],
    });
  return report;
}

export const restore = backup;
export const restoreTest = backup;
export const verify = backup;
export const prune = backup;
