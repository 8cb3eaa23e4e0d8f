import { join } from 'node:path';
import { formatDuration } from '../../src/core/durations.js';
import { type FailureDetails, isFailure } from '../../src/core/failures.js';
import type { Operated, OperateInput } from '../api.js';
import { exists } from '../capture/copy.js';
import { inTurn } from '../capture/in-turn.js';
import type { Fence } from '../contracts.js';
import type { Deps } from '../deps.js';
import { operationOf } from '../guarded/operation.js';
import { runCommand } from '../services/commands.js';
import { assertStopped } from '../site/assert-stopped.js';
import { once } from '../site/journal.js';
import { type PlannedEnv, planned, type Said } from '../step.js';
import { dataPaths } from './data-paths.js';

type Ended = Pick<Said<Operated>, 'said' | 'verdict' | 'before'>;

/**
 * Does the operation, once and never again: that it began is on disk before its first instruction. An attempt that finds
 * it begun by another one answers with how that ended, or that nobody knows.
 */
export const operate = (deps: Deps) =>
  planned<OperateInput, Operated>(deps, 'operate', (input, env) =>
    inTurn(input.changeId, async () => {
      const { plan, ctx, guard, holder, attempt } = env;
      const { operation, changeId, epoch } = input;
      const note = <T>(name: string, value: () => Promise<T>) => once(deps.state, plan.site, changeId, name, value);
      const unknown = async (): Promise<Ended> => {
        return { verdict: 'unknown', said: `${operation} had begun, and nobody saw its end` };
      };
      const me = `${holder.firstRunId} ${attempt}`;
      if (await exists(join(deps.state.captures(plan.site), `${changeId}.journal`, 'operation-began.json'))) {
        const [by] = (await note('operation-began', async () => me)).split(' ');
        if (by === holder.firstRunId) return note('operation-ended', unknown);
        // However it ended, its section was taken back since, or another change was made.
        return { verdict: 'unknown', said: `${operation} had begun before this run was reset`, before: true };
      }
      const section = epoch === undefined ? undefined : await guard.section(epoch, ctx);
      if (section) await assertStopped(plan.services, dataPaths(plan), ctx);
      if ((await note('operation-began', async () => me)) !== me) return note('operation-ended', unknown);
      return note('operation-ended', () => perform(operation, section?.fence, env, epoch));
    }),
  );

async function perform(
  name: string,
  fence: Fence | undefined,
  { plan, ctx, guard, holder }: PlannedEnv,
  epoch: number | undefined,
): Promise<Ended> {
  const { run } = operationOf(plan, name, ctx);
  const env = { ...run.env, HOLDFAST_SITE: plan.site, HOLDFAST_RUN: holder.workflowId, HOLDFAST_OPERATION: name };
  try {
    const { tookMs } = await runCommand({ ...run, env }, ctx, fence ? { fence } : {});
    if (epoch !== undefined) {
      await guard.section(epoch, ctx);
      await assertStopped(plan.services, [], ctx);
    }
    return { verdict: 'done', said: `${name} ended well after ${formatDuration(tookMs)}` };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (isFailure(error, 'ToolStalled'))
      return { verdict: 'unknown', said: `${name} was ended after ${formatDuration(run.timeoutMs)}, its time limit` };
    if (isFailure(error, 'SectionRevoked') || (epoch !== undefined && !(await lives(epoch, { ctx, guard }))))
      return { verdict: 'unknown', said: `${name} was ended from outside with its stopped section` };
    if (isFailure(error, 'NotStopped'))
      return { verdict: 'failed', said: `${name} started the application, while writes were to be held` };
    if (!isFailure(error, 'ToolFailed', 'ToolMissing')) throw error;
    const { exitCode } = (error.details?.[0] ?? {}) as FailureDetails;
    const how = exitCode === undefined ? 'could not be run' : `ended with exit code ${exitCode}`;
    return { verdict: 'failed', said: `${name} ${how}` };
  }
}

function lives(epoch: number, { guard, ctx }: Pick<PlannedEnv, 'guard' | 'ctx'>): Promise<boolean> {
  return guard.section(epoch, ctx).then(
    () => true,
    () => false,
  );
}
