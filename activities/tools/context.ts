import { join } from 'node:path';
import { type FailureDetails, failure } from '../../src/core/failures.js';
import type { SecretRef } from '../../src/core/plan.js';
import type { Context, Fence, Progress, RunOptions } from '../contracts.js';
import type { StateDir } from '../site/api.js';
import { createRedactor, type Redactor } from './redact.js';
import { createRun } from './run.js';

export interface ContextOptions {
  state: StateDir;
  step: string;
  host: string;
  /** The site, where there is one: names the journalled groups. */
  site?: string;
  /** Lock file of the stopped section that this step belongs to: its unfenced programs (a stop command) are ended too when it is revoked. */
  section?: string;
  signal: AbortSignal;
  /** Name of the log below the state's `logs`: `<workflow id>.log`. */
  log: string;
  beat?: (progress?: Progress) => void;
  note?: (text: string) => void;
  onKilled?: (failure: Error) => void;
  /** Resolves a reference; its value is redacted from then on. A command runs through `run`. */
  resolve: (ref: SecretRef, ctx: Pick<Context, 'run' | 'fail'>) => Promise<string>;
}

/** A program that asks a vault which does not answer must not hold a recovery up for ever. */
const SECRET_MS = 60_000;

const REBIND = Symbol('rebind');
interface Rebindable {
  [REBIND]?: (more: Partial<Pick<ContextOptions, 'signal' | 'state' | 'log' | 'onKilled'>>) => Context;
}

/**
 * The same step under another signal: for what must be done although the step was cancelled. A copy of the context with another `signal`
 * is not enough, because its `run` still listens to the old one.
 */
export function withSignal(ctx: Context & Rebindable, signal: AbortSignal): Context {
  return ctx[REBIND]?.({ signal }) ?? { ...ctx, signal };
}

/** The same step, each program of it under a site's lock and at that epoch; `more` where a call says nothing else. */
export function withFence(ctx: Context, fence: Fence, more: RunOptions = {}): Context {
  return { ...ctx, run: (program, args, options) => ctx.run(program, args, { ...more, ...options, fence }) };
}

/** The same step, telling of each program that somebody killed, also where its failure is caught and becomes a verdict. */
export function withKills(ctx: Context & Rebindable, onKilled: (failure: Error) => void): Context {
  return ctx[REBIND]?.({ onKilled }) ?? ctx;
}

/** The same step with logs and journal in another state directory. */
export function withState(ctx: Context & Rebindable, state: StateDir): Context {
  return ctx[REBIND]?.({ state, log: 'spare.log' }) ?? ctx;
}

/** Makes what a step gives to its parts. All that it says of a program (errors, logs, notes, progress) is redacted. */
export function createContext(options: ContextOptions): Context {
  return bind(options, createRedactor());
}

function bind(options: ContextOptions, redact: Redactor): Context & Rebindable {
  const { state, step, host, site, signal } = options;
  const listeners = new Set<() => void>();
  const fail: Context['fail'] = (type, what, more = {}) =>
    failure(type, {
      step,
      host,
      what: redact.text(what),
      ...(more.advice === undefined ? {} : { advice: redact.text(more.advice) }),
      ...(more.details === undefined ? {} : { details: redactDeep(more.details, redact.text) as FailureDetails }),
      ...(more.cause === undefined ? {} : { cause: more.cause }),
    });
  const run = createRun({
    state,
    label: site ? `${site} ${step}` : step,
    section: options.section,
    signal,
    onBeat: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    logFile: join(state.logs, options.log),
    redact,
    fail,
    onKilled: options.onKilled,
  });
  return {
    [REBIND]: (more) => bind({ ...options, ...more }, redact),
    step,
    host,
    signal,
    cacheDir: join(state.work, 'cache'),
    run,
    beat: (progress) => {
      for (const listener of listeners) listener();
      options.beat?.(progress?.said ? { ...progress, said: redact.text(progress.said) } : progress);
    },
    note: (text) => options.note?.(redact.text(text)),
    fail,
    secret: async (ref) => {
      const value = await options.resolve(ref, {
        run: (program, args, more) => run(program, args, { timeoutMs: SECRET_MS, untold: true, ...more }),
        fail,
      });
      redact.add(value);
      return value;
    },
  };
}

/** String by string: a mask inside JSON text could break it where a secret is a number. */
function redactDeep(value: unknown, text: (text: string) => string): unknown {
  if (typeof value === 'string') return text(value);
  if (Array.isArray(value)) return value.map((each) => redactDeep(each, text));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, redactDeep(each, text)]));
}
