import { createHmac } from 'node:crypto';
import type { Event, Notice } from '../../src/core/events.js';
import type { NotifySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import type { Post } from './post.js';

/**
 * The JSON that a webhook gets: `schemaVersion`, `event` and `sentAt` first, then the report without its steps. With a key it
 * is signed as `X-Holdfast-Signature: t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`.
 */
export async function webhookPost(
  spec: Extract<NotifySpec, { kind: 'webhook' }>,
  event: Event,
  notice: Notice,
  ctx: Context,
  now: Date,
): Promise<Post> {
  const { steps: _, ...rest } = notice;
  const body = JSON.stringify({ ...rest, schemaVersion: 1, event, sentAt: now.toISOString() });
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'holdfast' };
  if (spec.key) headers['x-holdfast-signature'] = sign(body, (await ctx.secret(spec.key)).trim(), now);
  return { url: (await ctx.secret(spec.url)).trim(), body, headers };
}

/** The value of `X-Holdfast-Signature`; the time is signed too, so that a receiver can refuse a replay. */
export function sign(body: string, key: string, now: Date): string {
  const t = Math.floor(now.getTime() / 1000);
  return `t=${t},v1=${createHmac('sha256', key).update(`${t}.${body}`).digest('hex')}`;
}
