import { type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { Progress, Report } from '../core/report.js';

/** A step that runs or waits for its next attempt, as the server knows it. */
export interface PendingStep {
  name: string;
  attempt: number;
  /** Nobody has taken it yet. */
  waiting: boolean;
  /** First line of what the last attempt failed with. */
  lastFailure?: string;
  /** The step's last heartbeat. */
  beat?: { bytes?: number; totalBytes?: number; files?: number; said?: string };
}

export interface Situation {
  status: string;
  progress?: Progress;
  pending: PendingStep[];
}

/** Waits for the end of a run and returns its report, however it ended. Throws the run's own failure where it left no report. */
export async function reportOf(handle: Pick<WorkflowHandle, 'result' | 'query'>): Promise<Report> {
  try {
    return (await handle.result()) as Report;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof ApplicationFailure) {
      const report = cause.details?.find(isReport);
      if (report) return report;
      throw cause;
    }
    if (cause instanceof CancelledFailure || cause instanceof TerminatedFailure) {
      const report = await handle.query<Report>('report').catch(() => undefined);
      if (report) return { ...report, outcome: cause instanceof CancelledFailure ? 'cancelled' : 'failed' };
    }
    throw cause ?? error;
  }
}

/** Where a run stands: its own `progress`, and what the server knows of its steps. Works without a worker (then without `progress`). */
export async function situation(client: Client, handle: WorkflowHandle): Promise<Situation> {
  const [description, progress] = await Promise.all([
    handle.describe(),
    client.withDeadline(Date.now() + 3000, () => handle.query<Progress>('progress')).catch(() => undefined),
  ]);
  const pending = (description.raw.pendingActivities ?? []).map((activity): PendingStep => {
    const beat = decode(activity.heartbeatDetails?.payloads?.[0]?.data);
    return {
      name: activity.activityType?.name ?? '',
      attempt: activity.attempt ?? 1,
      // temporal.api.enums.v1.PendingActivityState: SCHEDULED
      waiting: activity.state === 1,
      ...(activity.lastFailure?.message ? { lastFailure: activity.lastFailure.message.split('\n')[0] ?? '' } : {}),
      ...(beat ? { beat } : {}),
    };
  });
  return { status: description.status.name, pending, ...(progress ? { progress } : {}) };
}

function isReport(value: unknown): value is Report {
  return typeof value === 'object' && value !== null && 'schemaVersion' in value && 'outcome' in value;
}

/** Heartbeats are JSON of ours; anything else is no progress. */
function decode(data: Uint8Array | null | undefined): PendingStep['beat'] {
  if (!data) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
