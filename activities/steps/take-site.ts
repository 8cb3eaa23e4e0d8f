import type { Plan } from '../../src/core/plan.js';
import type { Env } from '../step.js';

/**
 * Gives the site to this run. Answers with the id of the run that has it, where that is an open one of the same kind (this
 * one is skipped then). Another kind is waited for; a closed run is taken over; where Temporal knows nothing of the holder,
 * only a free lock and an expired deadline allow it (design: "The holder"), and outside a stopped section the free lock alone, where
 * the server is the holder's own: it has forgotten a run that is long over, while the worker that ran it lives on.
 */
export async function takeSite(plan: Pick<Plan, 'site'>, env: Env): Promise<string | undefined> {
  const { guard, holder, ctx, deps } = env;
  const answer = await guard.hold(holder);
  if (answer.held) return undefined;
  const { by, phase, expired, locked } = answer;
  const elsewhere = by.namespaceId !== holder.namespaceId;
  const told = elsewhere ? undefined : await deps.runState?.(by);
  const state = told ?? 'unknown';
  const over = expired || (told === 'unknown' && phase === 'held');
  if (state === 'closed' || (state === 'unknown' && over && !locked)) {
    await guard.takeOver(holder, ctx, by);
    ctx.note(`took the site over from ${by.workflowId}, which had ended without giving it back`);
    return undefined;
  }
  if (by.workflow === holder.workflow && state === 'open') return by.workflowId;
  throw ctx.fail(
    'SiteBusy',
    `${by.workflowId} has ${plan.site}${state === 'unknown' ? ', and this Temporal server does not know it' : ''}`,
  );
}
