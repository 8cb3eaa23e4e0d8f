import type { Plan } from '../../src/core/plan.js';
import type { Env } from '../step.js';

/**
 * Gives the site to this run. Answers with the id of the run that has it, where that is an open one of the same kind (this
 * one is skipped then). Another kind is waited for; a closed run is taken over; where Temporal knows nothing of the holder
 * (another server or namespace), only a free lock and an expired deadline allow it (design: "The holder").
 */
export async function takeSite(plan: Pick<Plan, 'site'>, env: Env): Promise<string | undefined> {
  const { guard, holder, ctx, deps } = env;
  const answer = await guard.hold(holder);
  if (answer.held) return undefined;
  const { by, expired, locked } = answer;
  const elsewhere = by.namespaceId !== holder.namespaceId;
  const state = elsewhere ? 'unknown' : ((await deps.runState?.(by)) ?? 'unknown');
  if (state === 'closed' || (state === 'unknown' && expired && !locked)) {
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
