import type { Event, Notice } from '../../src/core/events.js';
import { isFailure } from '../../src/core/failures.js';
import type { NotifySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { pingPost } from './ping.js';
import { POST_LIMITS, post } from './post.js';
import { webhookPost } from './webhook.js';

/**
 * Tells everybody who wants to know of the event, side by side, within 20 s. Never throws: an alarm that cannot be delivered
 * is no failed backup. Resolves with one note for each that was not reached; addresses and keys are in none of them.
 */
export async function notifyAll(
  specs: readonly NotifySpec[],
  event: Event,
  notice: Notice,
  ctx: Context,
  limits = POST_LIMITS,
): Promise<string[]> {
  const wanted = specs.filter((spec) => wants(spec, event));
  const notes = await Promise.all(wanted.map((spec) => tell(spec, event, notice, ctx, limits)));
  return notes.filter((note) => note !== undefined);
}

/** A ping that names no events gets all that it has a word for. */
const wants = (spec: NotifySpec, event: Event) =>
  spec.on.includes(event) || (spec.kind === 'ping' && spec.on.length === 0);

async function tell(
  spec: NotifySpec,
  event: Event,
  notice: Notice,
  ctx: Context,
  limits: typeof POST_LIMITS,
): Promise<string | undefined> {
  const why = await deliver(spec, event, notice, ctx, limits).catch(reasonOf);
  return why === undefined ? undefined : `${spec.name} was not told "${event}": ${why}`;
}

async function deliver(
  spec: NotifySpec,
  event: Event,
  notice: Notice,
  ctx: Context,
  limits: typeof POST_LIMITS,
): Promise<string | undefined> {
  const what =
    spec.kind === 'webhook'
      ? await webhookPost(spec, event, notice, ctx, new Date())
      : await pingPost(spec, event, notice, ctx);
  if (!what) return undefined;
  if (!/^https?:\/\//.test(what.url)) return 'its address is not an http:// or https:// one';
  return post(what, ctx.signal, limits);
}

/** Only words of ours: the message of a foreign error may quote the address. */
function reasonOf(error: unknown): string {
  if (isFailure(error)) return error.message;
  return error instanceof TypeError ? 'its address is not an http:// or https:// one' : 'it cannot be reached';
}
