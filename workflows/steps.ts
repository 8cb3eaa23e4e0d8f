import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { HostSteps, TransferSteps } from '../activities/api.js';
import { hostQueue, transferQueue } from '../src/core/names.js';

/**
 * The one table of step options, by class. All wait for a cancelled step to end (the SDK's default does not, see
 * sdk-typescript#2442: a restart would overlap a running dump). How often a failed attempt is repeated depends on its
 * class in the failure catalogue and is decided in the step itself (activities/step.ts), so no attempt limit stands here: a worker
 * that restarts spends an attempt too.
 */
const common: ActivityOptions = {
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m' },
};

const CLASSES = {
  /** The first step: nobody there is seen at once, before anything stops; another run of the site may take hours to end. */
  first: {
    ...common,
    scheduleToStartTimeout: '10s',
    startToCloseTimeout: '10m',
    scheduleToCloseTimeout: '12h',
    heartbeatTimeout: '15s',
  },
  /** Steps while the application is down: a dead worker is seen within 7 s (the watchdog sees it within one). */
  section: { ...common, startToCloseTimeout: '1h', scheduleToCloseTimeout: '2h', heartbeatTimeout: '7s' },
  /** Bringing the application up: no limit at all, and no queue time limit either. */
  start: {
    ...common,
    startToCloseTimeout: '10m',
    heartbeatTimeout: '10s',
    retry: { ...common.retry, maximumInterval: '10s' },
  },
  /** What a site's owner has given its own time limit. A dead worker is seen within 7 s here, too. */
  operation: { ...common, startToCloseTimeout: '30d', heartbeatTimeout: '7s' },
  /** Another host's part of a run: where nobody is there, the site is not kept from its next run. One that is there may have to wait for its repository. */
  part: {
    ...common,
    scheduleToStartTimeout: '30m',
    startToCloseTimeout: '10m',
    scheduleToCloseTimeout: '21h',
    heartbeatTimeout: '15s',
  },
  leave: { ...common, scheduleToStartTimeout: '10m', startToCloseTimeout: '1h', heartbeatTimeout: '15s' },
  /** Hooks, alarms and the end of a run. */
  short: { ...common, startToCloseTimeout: '2h', heartbeatTimeout: '15s' },
  transfer: { ...common, startToCloseTimeout: '20h', scheduleToCloseTimeout: '20h', heartbeatTimeout: '30s' },
} satisfies Record<string, ActivityOptions>;

/** The options of each step; the queue is added per run, the summary per call. */
const HOST_CLASS: Record<keyof HostSteps, keyof typeof CLASSES> = {
  prepare: 'first',
  hook: 'short',
  stop: 'section',
  checkpoint: 'section',
  dump: 'section',
  swap: 'section',
  shelter: 'section',
  operate: 'operation',
  examine: 'operation',
  turn: 'section',
  ask: 'short',
  choose: 'first',
  start: 'start',
  alarm: 'short',
  finish: 'short',
  watch: 'first',
  part: 'part',
  leave: 'leave',
  check: 'first',
};

type Call<F> = F extends (input: infer I) => infer R ? (summary: string, input: I) => R : never;
type Calls<T> = { [K in keyof T]: Call<T[K]> };

export interface Steps extends Calls<HostSteps>, Calls<TransferSteps> {}

function patience(of: keyof typeof CLASSES, { storeMs, pickupMs }: Patience): ActivityOptions {
  if (of !== 'part') return {};
  return {
    ...(pickupMs === undefined ? {} : { scheduleToStartTimeout: pickupMs }),
    ...(storeMs === undefined ? {} : { scheduleToCloseTimeout: storeMs + 3_600_000 }),
  };
}

/** What a site's config says of how long things may take. */
interface Patience {
  storeMs?: number;
  pickupMs?: number;
}

/** Nobody is kept waiting by a dump without a stopped section, and an application's own export of hundreds of databases may take hours. */
const LONG: ActivityOptions = { startToCloseTimeout: '20h', scheduleToCloseTimeout: '20h', heartbeatTimeout: '15s' };

const takesItsTime = (name: string, input: unknown): boolean =>
  name === 'dump' && (input as { epoch?: number }).epoch === undefined;

/** A person has decided, and a backup may have the site for as long as it stores. */
const AFTER_OTHERS: ActivityOptions = { scheduleToCloseTimeout: '3d' };

const waitsForOthers = (name: string, input: unknown): boolean =>
  name === 'stop' && (input as { more?: number }).more !== undefined;

/** The steps of one host, each called with the sentence that the UI shows and its input. */
export function stepsOn(host: string, limits: Patience = {}): Steps {
  const { storeMs } = limits;
  const transfer = storeMs
    ? { ...CLASSES.transfer, startToCloseTimeout: storeMs, scheduleToCloseTimeout: storeMs }
    : CLASSES.transfer;
  return new Proxy({} as Steps, {
    get(_, name: string) {
      const hostClass = HOST_CLASS[name as keyof HostSteps];
      const options: ActivityOptions = hostClass
        ? { ...CLASSES[hostClass], ...patience(hostClass, limits), taskQueue: hostQueue(host) }
        : { ...transfer, taskQueue: transferQueue(host) };
      return (summary: string, input: unknown) => {
        const all = {
          ...options,
          ...(takesItsTime(name, input) ? LONG : {}),
          ...(waitsForOthers(name, input) ? AFTER_OTHERS : {}),
        };
        const step = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({ ...all, summary })[name];
        return step?.(input);
      };
    },
  });
}
