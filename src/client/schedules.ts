import {
  type Client,
  type ScheduleDescription,
  type ScheduleHandle,
  ScheduleNotFoundError,
  type ScheduleOptions,
} from '@temporalio/client';
import type { SearchAttributePair } from '@temporalio/common';
import type { ConfigFile } from '../config/schema.js';
import { failure } from '../core/failures.js';
import { DEFAULT_HOST, TASK_QUEUE } from '../core/names.js';
import { cronToCalendars } from './cron.js';
import { differences } from './schedule-diff.js';
import { type ScheduleWish, scheduleWishes } from './schedule-wishes.js';
import { searchAttributes } from './search-attributes.js';

/** The mark in a schedule's memo: with it and our id prefix a schedule is ours, and only then is it touched. */
const MARK = 'holdfast';
/** Describes and changes that are under way at once. */
const AT_ONCE = 16;

export interface ScheduleChange {
  id: string;
  change: 'create' | 'update' | 'delete' | 'keep' | 'foreign';
  /** For an update: what differs, as `cron: 0 3 * * * → 0 4 * * *`. */
  differences: string[];
}

export interface ApplyOptions {
  dryRun?: boolean;
  /** Name of this host, for sites that name none. Schedules of hosts that the config does not speak of are left alone. */
  host?: string;
}

/** Makes Temporal's schedules equal to the config: creates, updates and deletes what is ours, and nothing else. A second call changes nothing. */
export async function applySchedules(
  client: Client,
  config: ConfigFile,
  options: ApplyOptions = {},
): Promise<ScheduleChange[]> {
  const host = options.host ?? DEFAULT_HOST;
  const wishes = scheduleWishes(config, host);
  const hosts = new Set([host, ...wishes.map((wish) => wish.host)]);
  const wanted = new Set(wishes.map((wish) => wish.id));
  const changes = await each(wishes, (wish) => settle(client, wish, options.dryRun ?? false));
  const ours = await listOurs(client);
  const extra = ours.filter(({ id, host: of }) => !wanted.has(id) && hosts.has(of));
  const deleted = await each(extra, async ({ id }): Promise<ScheduleChange | undefined> => {
    const handle = client.schedule.getHandle(id);
    if (!(await describe(handle))) return undefined;
    if (!options.dryRun) await handle.delete();
    return { id, change: 'delete', differences: [] };
  });
  return [...changes, ...deleted.filter((change) => change !== undefined)];
}

async function settle(client: Client, wish: ScheduleWish, dryRun: boolean): Promise<ScheduleChange> {
  const { id } = wish;
  const handle = client.schedule.getHandle(id);
  const attributes = await searchAttributes(client, wish.workflow, String(wish.input.site));
  const now = await describe(handle);
  const options = optionsOf(wish, attributes);
  if (!now) {
    if (!dryRun) await client.schedule.create(options);
    return { id, change: 'create', differences: [] };
  }
  if (now.memo?.[MARK] === undefined) return { id, change: 'foreign', differences: [] };
  const found = differences(options, now);
  if (found.length === 0) return { id, change: 'keep', differences: [] };
  // What a person paused stays paused, with the reason that was given.
  if (!dryRun) await handle.update(({ state }) => ({ ...options, state }));
  return { id, change: 'update', differences: found };
}

function optionsOf(wish: ScheduleWish, attributes: SearchAttributePair[] | undefined): ScheduleOptions {
  return {
    scheduleId: wish.id,
    spec: {
      calendars: cronToCalendars(wish.cron) ?? [],
      timezone: wish.timezone,
      jitter: wish.jitterMs,
    },
    action: {
      type: 'startWorkflow',
      workflowType: wish.workflow,
      workflowId: wish.workflowIdPrefix,
      taskQueue: TASK_QUEUE,
      args: [wish.input],
      staticSummary: wish.summary,
      memo: { site: wish.input.site },
      ...(attributes ? { typedSearchAttributes: attributes } : {}),
    },
    policies: { overlap: 'SKIP', catchupWindow: wish.catchUpMs, pauseOnFailure: wish.pauseOnFailure },
    memo: { [MARK]: 1, host: wish.host },
  };
}

export interface OurSchedule {
  id: string;
  host: string;
  workflow: string;
  paused: boolean;
  note?: string;
  /** The cron line or word that it was made from. */
  said?: string;
  next?: Date;
  last?: { at: Date; workflowId: string };
}

/** Our schedules, by id. The server's list lags a little behind changes. */
export async function listOurs(client: Client): Promise<OurSchedule[]> {
  const ours: OurSchedule[] = [];
  for await (const { scheduleId: id, memo, state, info, spec, action } of client.schedule.list({ pageSize: 1000 })) {
    if (!id.startsWith(`${TASK_QUEUE}-`) || memo?.[MARK] === undefined) continue;
    const last = info.recentActions.at(-1);
    const next = info.nextActionTimes[0];
    const said = spec?.calendars?.[0]?.comment;
    ours.push({
      id,
      host: String(memo.host),
      workflow: action?.workflowType ?? '',
      paused: state.paused,
      ...(state.note ? { note: state.note } : {}),
      ...(said ? { said } : {}),
      ...(next ? { next } : {}),
      ...(last ? { last: { at: last.takenAt, workflowId: last.action.workflow.workflowId } } : {}),
    });
  }
  return ours.sort((a, b) => a.id.localeCompare(b.id));
}

/** The handle of a schedule of ours. Throws InvalidInput where there is none of that name, or where it is somebody else's. */
export async function ourSchedule(client: Client, id: string): Promise<ScheduleHandle> {
  const handle = client.schedule.getHandle(id);
  const description = await describe(handle);
  if (id.startsWith(`${TASK_QUEUE}-`) && description?.memo?.[MARK] !== undefined) return handle;
  throw failure('InvalidInput', {
    step: 'schedule',
    host: 'Temporal',
    what: description ? `schedule ${id} is not ours` : `there is no schedule ${id}`,
    advice: 'see them with: holdfast schedule list',
  });
}

/** Runs it now, unless its last run is still going on (the SDK's own default would overlap). */
export async function triggerSchedule(client: Client, id: string): Promise<void> {
  await (await ourSchedule(client, id)).trigger('SKIP');
}

async function describe(handle: ScheduleHandle): Promise<ScheduleDescription | undefined> {
  try {
    return await handle.describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

/** `fn` of each, a few at a time, in order. */
async function each<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let i = 0; i < items.length; i += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(i, i + AT_ONCE).map(fn))));
  }
  return results;
}
