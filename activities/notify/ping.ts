import type { Event, Notice } from '../../src/core/events.js';
import type { NotifySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import type { Post } from './post.js';

/** Below which path of the check's address an event is told (Healthchecks.io's pinging API). Events without one say nothing to it. */
const SUFFIX: Partial<Record<Event, string>> = {
  started: '/start',
  completed: '',
  partial: '/fail',
  failed: '/fail',
  cancelled: '/fail',
  down: '/fail',
  'proof-failed': '/fail',
  overdue: '/fail',
};

/** The ping of an event, with one line for the check's log; none where a ping has no word for it. */
export async function pingPost(
  spec: Extract<NotifySpec, { kind: 'ping' }>,
  event: Event,
  notice: Notice,
  ctx: Context,
): Promise<Post | undefined> {
  const suffix = SUFFIX[event];
  if (suffix === undefined) return undefined;
  const url = new URL((await ctx.secret(spec.url)).trim());
  url.pathname = `${url.pathname.replace(/\/$/, '')}${suffix}`;
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'user-agent': 'holdfast' };
  return { url: url.href, body: notice.said, headers };
}
