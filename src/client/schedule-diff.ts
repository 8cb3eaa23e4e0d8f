import { isDeepStrictEqual } from 'node:util';
import type { ScheduleDescription, ScheduleOptions } from '@temporalio/client';

/** Where a schedule is not as wanted, field by field in the server's own form, so that what it normalises is no difference. */
export function differences(wanted: ScheduleOptions, now: ScheduleDescription): string[] {
  const want = fieldsOfOptions(wanted);
  const have = fieldsOfDescription(now);
  return Object.keys(want)
    .filter((field) => !isDeepStrictEqual(want[field], have[field]))
    .map((field) =>
      field === 'times' && comments(wanted) === comments(now)
        ? 'times: changed by hand'
        : `${field}: ${field === 'times' ? comments(now) : show(have[field])} → ${field === 'times' ? comments(wanted) : show(want[field])}`,
    );
}

function fieldsOfOptions({ spec, action, policies }: ScheduleOptions): Record<string, unknown> {
  return {
    times: plain({ calendars: spec.calendars, intervals: [], skip: [] }),
    timezone: spec.timezone,
    jitter: spec.jitter,
    overlap: policies?.overlap,
    'catch-up': policies?.catchupWindow,
    'pause on failure': policies?.pauseOnFailure,
    ...fieldsOfAction(action as ScheduleDescription['action']),
    attributes: names(action.typedSearchAttributes),
  };
}

function fieldsOfDescription({ spec, action, policies }: ScheduleDescription): Record<string, unknown> {
  const { calendars, intervals, skip, startAt, endAt } = spec;
  return {
    times: plain({ calendars, intervals, skip, startAt, endAt }),
    timezone: spec.timezone || 'UTC',
    jitter: spec.jitter ?? 0,
    overlap: policies.overlap,
    'catch-up': policies.catchupWindow,
    'pause on failure': policies.pauseOnFailure,
    ...fieldsOfAction(action),
    attributes: names(action.typedSearchAttributes),
  };
}

function fieldsOfAction(action: ScheduleDescription['action']): Record<string, unknown> {
  return {
    workflow: action.workflowType,
    'workflow id': action.workflowId,
    'task queue': action.taskQueue,
    input: action.args,
    summary: action.staticSummary,
    memo: action.memo ?? {},
  };
}

/** Without keys that hold nothing. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function names(attributes: unknown): string[] {
  const pairs = Array.isArray(attributes)
    ? attributes
    : ((attributes as { getAll?: () => unknown[] } | undefined)?.getAll?.() ?? []);
  return (pairs as { key: { name: string }; value: unknown }[])
    .map(({ key, value }) => `${key.name}=${String(value)}`)
    .sort();
}

function comments({ spec }: { spec: { calendars?: { comment?: string }[] } }): string {
  return [...new Set(spec.calendars?.map(({ comment }) => comment ?? '') ?? [])].join(' and ') || 'none';
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
