import { sleep } from '@temporalio/workflow';
import type { Prepared, Started, StepInput } from '../activities/api.js';
import { formatDuration } from '../src/core/durations.js';
import { failure } from '../src/core/failures.js';
import type { StepResult } from '../src/core/report.js';
import { always, explain, failureType, type Run } from './run.js';
import type { Steps } from './steps.js';

export interface SectionContext {
  run: Run;
  steps: Steps;
  prepared: Prepared;
  base: StepInput;
  /** A restore: what is new is taken back when the section fails, or when the application does not come up with it in time. */
  rollBackAfterMs?: number;
  /** What is new, as its failure says it. */
  newState?: string;
  /** False once something was done that must not be done twice. */
  mayRepeat?: () => boolean;
}

/** Repeats at most once: a third section would be a third outage of one night. */
const SECTIONS = 2;

/** The watchdog ended the section, or somebody started the application inside it: what it took was discarded. */
const REPEATABLE = ['SectionRevoked', 'NotStopped'];

/**
 * Runs `inside` with the application stopped and starts it again whatever happens: failure, cancellation, a section
 * that the watchdog revoked (it is repeated once). Returns as soon as the application is up, or has not come up within
 * the start step's patience: `settled` then tells the end of it, so that storing need not wait for a sick application.
 */
export async function withApplicationStopped<T>(
  context: SectionContext,
  inside: () => Promise<T>,
): Promise<{ result: T; settled: Promise<boolean> }> {
  for (let section = 1; ; section++) {
    let outcome: { result: T } | { error: unknown };
    try {
      context.run.app('down');
      outcome = { result: await inside() };
    } catch (error) {
      outcome = { error };
    }
    const rollBack = 'error' in outcome && context.rollBackAfterMs !== undefined;
    const first = await always(() => startOnce(context, rollBack));
    const settled = first.up ? Promise.resolve(true) : always(() => keepStarting(context, first.why));
    // Awaited only when the stores have ended: until then nobody listens, and that must not fail the run's tasks.
    settled.catch(() => undefined);
    if ('result' in outcome && context.rollBackAfterMs !== undefined && first.rolledBack) {
      outcome = {
        error: failure('SectionRevoked', {
          step: 'start',
          host: context.base.host,
          what: `${context.newState ?? 'the restored state'} was taken back`,
        }),
      };
    }
    if ('result' in outcome) return { result: outcome.result, settled };
    await settled;
    const again =
      REPEATABLE.includes(failureType(outcome.error)) && section < SECTIONS && (context.mayRepeat?.() ?? true);
    if (!again) throw outcome.error;
    context.run.report.notes.push('a stopped section was ended from outside; it was repeated');
  }
}

interface Up {
  up: boolean;
  rolledBack: boolean;
  /** Why it is not up, with what to do. */
  why?: string;
}

async function startOnce({ run, steps, prepared, base }: SectionContext, rollBack: boolean): Promise<Up> {
  const names = prepared.services.join(', ') || 'nothing';
  const summary = rollBack ? `Put the state from before back and start ${names}` : `Start ${names}`;
  let started: Started;
  try {
    started = await run.step('start', () => steps.start(summary, { ...base, rollBack }));
  } catch (error) {
    // Whatever the class of its failure: as long as the application may be down it is asked again, and people are told.
    const { message } = explain('start', base.host, error);
    if (!run.report.notes.includes(message)) run.report.notes.push(message);
    return { up: false, rolledBack: false, why: message };
  }
  run.report.downtimeMs = started.downtimeMs;
  run.report.sections = started.sections;
  if (started.up) run.app('up');
  return started.up ? started : { ...started, why: started.said };
}

/** Asks again and again, tells people, and gives up at the limit; the watchdog never gives up. */
async function keepStarting(context: SectionContext, first: string | undefined): Promise<boolean> {
  const { run, steps, prepared, base } = context;
  const since = Date.now();
  let why = first;
  // What was restored is given up before the application is: the limit counts from when the state from before was asked for.
  const limitMs = prepared.limits.startMs + (context.rollBackAfterMs ?? 0);
  for (let told = 0; Date.now() - since < limitMs; ) {
    const waited = Date.now() - since;
    if (waited >= told) {
      const because = why === undefined ? '' : `: ${why}`;
      const said = `${base.site} has not come up ${formatDuration(waited + 30_000)} after its start${because}`;
      await steps.alarm('Tell that the application is down', { ...base, event: 'down', said }).catch(() => undefined);
      told = told === 0 ? 120_000 : told * 2;
    }
    await sleep('5s');
    const rollBack = context.rollBackAfterMs !== undefined && Date.now() - since > context.rollBackAfterMs;
    const { up, rolledBack, ...still } = await startOnce(context, rollBack);
    why = still.why ?? why;
    if (up) {
      await steps
        .alarm('Tell that it is up again', { ...base, event: 'recovered', said: `${base.site} is up again` })
        .catch(() => undefined);
      if (context.rollBackAfterMs !== undefined && (rollBack || rolledBack))
        throw failure('RestoreFailed', {
          step: 'start',
          host: base.host,
          what: `${base.site} did not come up with ${context.newState ?? 'the restored state'}`,
        });
      return true;
    }
  }
  if (why !== undefined && !run.report.notes.includes(why)) run.report.notes.push(why);
  run.failed(
    'start',
    failure('ApplicationDown', {
      step: 'start',
      host: base.host,
      what: `not up within ${formatDuration(limitMs)}`,
    }),
  );
  return false;
}

/** Temporal's share of the downtime: what passed between the end of a step and the start of the next. */
export function hopMs(steps: readonly StepResult[]): number | undefined {
  const from = steps.findLastIndex((step) => step.step === 'stop');
  const to = steps.findLastIndex((step) => step.step === 'start');
  if (from < 0 || to < from) return undefined;
  let total = 0;
  for (let i = from + 1; i <= to; i++) {
    total += Math.max(0, Date.parse(steps[i]!.startedAt) - Date.parse(steps[i - 1]!.endedAt));
  }
  return total;
}
