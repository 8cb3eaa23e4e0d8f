import { formatDuration } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import type { Started, StartInput } from '../api.js';
import type { Context } from '../contracts.js';
import type { Deps } from '../deps.js';
import { endSections } from '../sections.js';
import { services } from '../services/index.js';
import { waitHealthy } from '../site/health.js';
import { step } from '../step.js';
import { withSignal } from '../tools/context.js';
import { planOrNow } from './plan-now.js';

/** How long one call waits for health before it answers "not yet", so that storing can begin beside it. */
const PATIENCE_MS = 30_000;

/**
 * Brings the application up again, by the same function as the watchdog. Cancellation does not reach it. Answers `up: false`
 * where the application was asked to start and is not healthy yet: the workflow goes on and asks again.
 */
export const start = (deps: Deps) =>
  step<StartInput, Started>(deps, 'start', async (input, env) => {
    const { guard, holder, ctx } = env;
    const alive = withSignal(ctx, new AbortController().signal);
    const plan = await planOrNow(input.site, input.plan, env);
    const record = await guard.read();
    if (!plan) throw ctx.fail('StateUnusable', 'neither the frozen plan nor the config can be read');
    // By the workflow's id: a run that was reset goes on with a section that it began under another run id.
    const ours = record.holder?.workflowId === holder.workflowId && record.holder.namespaceId === holder.namespaceId;
    const runId = ours && record.holder ? record.holder.firstRunId : holder.firstRunId;
    const counted = (upAt?: string) => endSections(deps.state, plan.site, runId, upAt);
    if (record.phase === 'idle' && !record.holder) {
      const found = await withoutRecord(plan, alive, deps);
      return {
        ...found,
        rolledBack: record.revokedFor !== undefined,
        ...(await counted(found.up ? new Date().toISOString() : undefined)),
      };
    }
    if (!ours || (record.phase !== 'stopped' && record.phase !== 'revoked')) {
      const sums = await counted(record.upAt ?? new Date().toISOString());
      return { said: 'the application is up already', up: true, rolledBack: record.revokedFor !== undefined, ...sums };
    }
    try {
      const mode = input.rollBack || record.phase === 'revoked' ? 'recover' : 'finish';
      const { upAt, revokedFor } = await guard.ensureUp(
        mode,
        {
          // A recovery overrides a finish that has not come to its end, whose claim has the newer epoch.
          epoch: mode === 'finish' ? (record.finishes ?? record.epoch) : record.epoch,
          withinMs: deps.healthPatienceMs ?? PATIENCE_MS,
          why: input.rollBack ? 'rolled back' : 'start',
        },
        alive,
      );
      const sums = await counted(upAt);
      return {
        said: `${plan.services.map(({ name }) => name).join(', ')} up and healthy; down ${formatDuration(sums.downtimeMs)}`,
        up: true,
        rolledBack: revokedFor !== undefined,
        ...sums,
      };
    } catch (error) {
      if (!isFailure(error, 'NotHealthy', 'StartFailed')) throw error;
      return { said: error.message, up: false, rolledBack: false, ...(await counted()) };
    }
  });

/**
 * The run holds the site, and no record says so: the record was lost, or somebody has released the site. The watchdog has seen it, and
 * brings up what ran before.
 */
async function withoutRecord(plan: Plan, ctx: Context, deps: Deps): Promise<{ said: string; up: boolean }> {
  const end = performance.now() + (deps.healthPatienceMs ?? PATIENCE_MS);
  try {
    for (const spec of plan.services) {
      const { units } = await services[spec.kind].status(spec, ctx);
      const names = units.map(({ name }) => name);
      await waitHealthy(spec, ctx, Math.max(0, end - performance.now()), names);
    }
    return { said: 'the application is up; nobody has noted that it was down', up: true };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { said: error.message, up: false };
  }
}
