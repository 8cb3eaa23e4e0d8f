import { formatDuration } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { Started, StartInput } from '../api.js';
import type { Deps } from '../deps.js';
import { endSections } from '../sections.js';
import { planned } from '../step.js';
import { withSignal } from '../tools/context.js';

/** How long one call waits for health before it answers "not yet", so that storing can begin beside it. */
const PATIENCE_MS = 30_000;

/**
 * Brings the application up again, by the same function as the watchdog. Cancellation does not reach it. Answers `up: false`
 * where the application was asked to start and is not healthy yet: the workflow goes on and asks again.
 */
export const start = (deps: Deps) =>
  planned<StartInput, Started>(deps, 'start', async (input, env) => {
    const { plan, guard, holder, ctx } = env;
    const alive = withSignal(ctx, new AbortController().signal);
    const record = await guard.read();
    // By the workflow's id: a run that was reset goes on with a section that it began under another run id.
    const ours = record.holder?.workflowId === holder.workflowId && record.holder.namespaceId === holder.namespaceId;
    const runId = ours && record.holder ? record.holder.firstRunId : holder.firstRunId;
    const counted = (upAt?: string) => endSections(deps.state, plan.site, runId, upAt);
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
          withinMs: PATIENCE_MS,
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
