import { setTimeout as sleep } from 'node:timers/promises';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';
import { isRunning, waitHealthy } from './health.js';

/** Per service name: units that run. */
export type Prior = Record<string, string[]>;

/** What runs now, per service. */
export async function observe(specs: ServiceSpec[], ctx: Context): Promise<Prior> {
  const prior: Prior = {};
  for (const spec of specs) {
    const { units } = await services[spec.kind].status(spec, ctx);
    prior[spec.name] = units.filter(({ running }) => running).map(({ name }) => name);
  }
  return prior;
}

/** How long a service gets to become healthy before its status is looked at again: it may have been stopped by a late stop. */
const LOOK_AGAIN_MS = 3_000;
const RETRY_MS = 500;

/**
 * Starts what ran before, in the reverse of the stop order, and waits until each service is healthy. Goes on through failing starts and
 * services that end again, until `withinMs` is over: then throws the last reason. `go` is asked before each start, while health is waited
 * for and at the end: it throws where somebody else has taken over, and where what runs must be started anew.
 */
export async function bringUp(
  specs: ServiceSpec[],
  prior: Prior,
  withinMs: number,
  go: () => Promise<void>,
  ctx: Context,
): Promise<void> {
  const end = performance.now() + withinMs;
  const wanted = specs.toReversed().filter(({ name }) => (prior[name]?.length ?? 0) > 0);
  for (;;) {
    try {
      for (const spec of wanted) {
        await go();
        await services[spec.kind].start(spec, prior[spec.name] ?? [], ctx);
      }
      for (const spec of wanted) await healthy(spec, prior[spec.name] ?? [], end, go, ctx);
      return await go();
    } catch (error) {
      if (!isFailure(error) || isFailure(error, 'SectionRevoked') || performance.now() + RETRY_MS >= end) throw error;
      await sleep(RETRY_MS, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
    }
  }
}

/** Waits for a service that still runs; one that has ended is NotHealthy at once, so that it is started again. */
async function healthy(
  spec: ServiceSpec,
  units: string[],
  end: number,
  go: () => Promise<void>,
  ctx: Context,
): Promise<void> {
  for (;;) {
    const left = Math.max(0, end - performance.now());
    try {
      return await waitHealthy(spec, ctx, Math.min(left, LOOK_AGAIN_MS), units);
    } catch (error) {
      if (!isFailure(error, 'NotHealthy') || left <= LOOK_AGAIN_MS || !(await isRunning(spec, units, ctx))) throw error;
      await go();
    }
  }
}

/**
 * Stops what was started before `since` (ms on the boot clock), when state was still being exchanged: a program that somebody started then, and
 * that nothing named yet, goes on with files that are not the application's any more. Throws StartFailed where there was one.
 */
export async function endOlder(specs: ServiceSpec[], since: number, ctx: Context): Promise<void> {
  for (const spec of specs) {
    const { units } = await services[spec.kind].status(spec, ctx);
    const older = units.filter(({ running, sinceMs }) => running && sinceMs !== undefined && sinceMs < since);
    if (older.length === 0) continue;
    const names = older.map(({ name }) => name);
    await services[spec.kind].stop(spec, names, ctx);
    throw ctx.fail('StartFailed', `${names.join(', ')} had been started by somebody before its state was exchanged`, {
      advice: 'nothing: it was stopped, and is started anew',
    });
  }
}
