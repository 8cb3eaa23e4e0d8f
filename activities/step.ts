import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  Context as Activity,
  activityInfo,
  CancelledFailure,
  cancellationDetails,
  heartbeat,
} from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { loadFrozen } from '../src/config/freeze.js';
import { resolveSecret } from '../src/config/secrets.js';
import { FAILURES, type FailureType } from '../src/core/failures.js';
import type { Plan } from '../src/core/plan.js';
import type { StepResult } from '../src/core/report.js';
import type { Context, Progress } from './contracts.js';
import type { Deps } from './deps.js';
import type { Holder, SiteGuard } from './site/api.js';
import { openSite } from './site/site.js';
import { isStateGone } from './site/without-state.js';
import { createContext, withSignal } from './tools/context.js';

/** What a step works with. */
export interface Env {
  deps: Deps;
  ctx: Context;
  guard: SiteGuard;
  holder: Holder;
  attempt: number;
}

export interface PlannedEnv extends Env {
  plan: Plan;
}

/** What a step says of itself; the frame adds step, host and times. */
export type Said<R extends StepResult> = Omit<R, 'step' | 'host' | 'startedAt' | 'endedAt' | 'tookMs' | 'notes'>;

/** Whoever revokes a section ends what these steps run, a hanging stop command too. */
const IN_SECTION = new Set(['stop', 'checkpoint', 'dump', 'swap', 'shelter', 'turn']);
/** They also run beside an application that is up: only those with an epoch belong to a section. */
const MAYBE_IN_SECTION = new Set(['operate', 'examine']);

const BEAT_MS = 2_000;
const RENEW_MS = 5_000;
/** How often a failure that should pass soon is tried again. */
const SOON_ATTEMPTS = 5;

interface Input {
  site: string;
  host: string;
  hostId?: string;
  plan?: string;
  epoch?: number | undefined;
}

/**
 * Makes an activity of a step: context, heartbeats (and with them the sliding deadline of a stopped section), times,
 * and failures of the catalogue with the retry behaviour of their class. Nothing else leaves a step.
 */
export function step<I extends Input, R extends StepResult>(
  deps: Deps,
  name: string,
  body: (input: I, env: Env) => Promise<Said<R>>,
): (input: I) => Promise<R> {
  return async (input) => {
    const info = activityInfo();
    const run = info.workflowExecution ?? { workflowId: 'none', runId: 'none' };
    const activity = Activity.current();
    const began = new Date();
    const notes: string[] = [];
    let progress: Progress = {};
    const guard = openSite(deps.state, input.site);
    const log = logName(run.workflowId, name, info.attempt);
    // Without a place for its log a step can still start an application; what needs the state directory says so itself.
    await mkdir(dirname(join(deps.state.logs, log)), { recursive: true, mode: 0o700 }).catch(() => {});
    const ctx = createContext({
      state: deps.state,
      step: name,
      host: deps.host,
      site: input.site,
      ...(IN_SECTION.has(name) || (MAYBE_IN_SECTION.has(name) && input.epoch !== undefined)
        ? { section: deps.state.site(input.site).fenceLock }
        : {}),
      signal: activity.cancellationSignal,
      log,
      beat: (more) => {
        progress = { ...progress, ...more };
      },
      note: (text) => void (notes.includes(text) || notes.push(text)),
      resolve: (ref, { run, fail }) => resolveSecret(ref, { run, fail }),
    });
    const holder: Holder = {
      namespace: deps.namespace,
      namespaceId: deps.namespaceId,
      workflowId: run.workflowId,
      // A reset makes a new run of the same id; it takes over what the old one held.
      firstRunId: run.runId,
      workflow: info.workflowType ?? 'none',
    };
    const env: Env = { deps, ctx, guard, holder, attempt: info.attempt };
    const stop = keepAlive(() => heartbeat(progress), input.epoch, env);
    try {
      await mustBeThisHost(input, env);
      const said = await body(input, env);
      const ended = new Date();
      return {
        ...said,
        step: name,
        host: deps.host,
        startedAt: began.toISOString(),
        endedAt: ended.toISOString(),
        tookMs: ended.getTime() - began.getTime(),
        notes,
      } as unknown as R;
    } catch (error) {
      if (activity.cancellationSignal.aborted) {
        await runIsGone(input, env);
        throw activity.cancellationSignal.reason instanceof CancelledFailure
          ? activity.cancellationSignal.reason
          : error;
      }
      throw classed(ofState(error, deps.state.root, ctx), ctx, info.attempt);
    } finally {
      stop();
    }
  };
}

/** As `step`, for the steps after `prepare`: with the frozen plan. */
export function planned<I extends Input & { plan: string }, R extends StepResult>(
  deps: Deps,
  name: string,
  body: (input: I, env: PlannedEnv) => Promise<Said<R>>,
): (input: I) => Promise<R> {
  return step<I, R>(deps, name, async (input, env) =>
    body(input, { ...env, plan: await loadFrozen(deps.state.plans, input.plan, env.ctx) }),
  );
}

function keepAlive(beat: () => void, epoch: number | undefined, { guard, ctx }: Env): () => void {
  beat();
  const beats = setInterval(beat, BEAT_MS);
  // A failing renewal needs no word here: the next tool of the section is refused by its fence.
  const renews =
    epoch === undefined ? undefined : setInterval(() => void guard.renew(epoch, ctx).catch(() => {}), RENEW_MS);
  return () => {
    clearInterval(beats);
    clearInterval(renews);
  };
}

/** A queue's name is not a host's identity: a clone of the machine must not stop an application that is not there. */
async function mustBeThisHost(input: Input, { deps, ctx }: Env): Promise<void> {
  if (input.hostId === undefined || input.hostId === deps.hostId) return;
  throw ctx.fail('WrongHost', `two machines answer to the name ${deps.host}`);
}

/** A run that was terminated or reset will never start the application: the step that learns of it does. */
async function runIsGone(input: Input, { guard, ctx, holder }: Env): Promise<void> {
  if (!cancellationDetails()?.notFound) return;
  const epoch = input.epoch ?? (ctx.step === 'stop' ? await armedBy(holder, guard).catch(() => undefined) : undefined);
  if (epoch === undefined) return;
  const alive = withSignal(ctx, new AbortController().signal);
  await guard.ensureUp('recover', { epoch, withinMs: 120_000, why: 'the run was terminated' }, alive).catch(() => {});
}

/** The section that `stop` began: its input cannot name it. */
async function armedBy(holder: Holder, guard: SiteGuard): Promise<number | undefined> {
  const { phase, epoch, holder: by } = await guard.read();
  return phase === 'stopped' && by?.firstRunId === holder.firstRunId ? epoch : undefined;
}

/** A state directory that went away, read-only or full: the system's own error, which no part has given a name. */
function ofState(error: unknown, root: string, ctx: Context): unknown {
  const { code = '', path = '' } = (error ?? {}) as NodeJS.ErrnoException;
  if (error instanceof ApplicationFailure || code === '') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') return ctx.fail('DiskFull', 'a disk is full', { cause: error });
  if (!isStateGone(error) || !`${path}/`.startsWith(`${root}/`)) return error;
  return ctx.fail('StateUnusable', `the state directory ${root} cannot be used (${code})`, { cause: error });
}

/** Gives every error its class: the catalogue's, a bounded number of attempts, or hours of patience. */
function classed(error: unknown, ctx: Context, attempt: number): Error {
  const known =
    error instanceof ApplicationFailure && (error.type ?? '') in FAILURES
      ? error
      : ctx.fail(
          'Unexpected',
          `${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`.slice(0, 200),
          { cause: error },
        );
  if (!(known instanceof ApplicationFailure)) return known;
  const { retry } = FAILURES[(known.type ?? 'Unexpected') as FailureType];
  // A full disk does not empty itself while the application waits for it.
  const hopeless = known.type === 'DiskFull' && IN_SECTION.has(ctx.step);
  const again = retry === 'wait' || (retry === 'soon' && !hopeless && attempt < SOON_ATTEMPTS);
  return ApplicationFailure.create({
    message: known.message,
    type: known.type ?? 'Unexpected',
    nonRetryable: !again,
    details: known.details ?? [],
    ...(retry === 'wait' ? { nextRetryDelay: Math.min(900_000, 5_000 * 2 ** Math.min(attempt, 10)) } : {}),
  });
}

/** `<workflow id>/<step>-<attempt>.log`, below the state directory's logs. */
function logName(workflowId: string, name: string, attempt: number): string {
  return `${workflowId.replaceAll(/[^\w@.:-]/g, '_')}/${name}${attempt > 1 ? `-${attempt}` : ''}.log`;
}
