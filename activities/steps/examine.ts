import { setTimeout as sleep } from 'node:timers/promises';
import { type FailureDetails, isFailure } from '../../src/core/failures.js';
import type { Command } from '../../src/core/plan.js';
import type { Examined, ExamineInput } from '../api.js';
import type { Fence } from '../contracts.js';
import type { Deps } from '../deps.js';
import { operationOf, PAUSE_MS, TRIES } from '../guarded/operation.js';
import { runCommand } from '../services/commands.js';
import { services } from '../services/index.js';
import { waitHealthy } from '../site/health.js';
import { type PlannedEnv, planned } from '../step.js';

type Look = Pick<Examined, 'verdict' | 'said'>;

const PATIENCE_MS = 15_000;
/** EX_TEMPFAIL, by which a check says that it cannot look; the shell's codes for what could not be run; then those of signals. */
const CANNOT_LOOK = [75, 126, 127];
const FIRST_SIGNAL = 128;

/**
 * Asks whether all is well. One success is enough; `failed` means that it said no three times, anything else is `unclear`:
 * a check that cannot look is no reason to take anything back.
 */
export const examine = (deps: Deps) =>
  planned<ExamineInput, Examined>(deps, 'examine', async (input, env) => {
    const fence = input.epoch === undefined ? undefined : (await env.guard.section(input.epoch, env.ctx)).fence;
    const looks: Look[] = [];
    for (;;) {
      const look = await once(input, fence, env);
      looks.push(look);
      if (look.verdict === 'passed') return look;
      if (looks.length === TRIES) break;
      await sleep(PAUSE_MS, undefined, { signal: env.ctx.signal }).catch(() => env.ctx.signal.throwIfAborted());
    }
    const unclear = looks.findLast(({ verdict }) => verdict === 'unclear');
    return unclear ?? { verdict: 'failed', said: `${looks.at(-1)?.said}, ${TRIES} times` };
  });

async function once(
  { operation, epoch }: ExamineInput,
  fence: Fence | undefined,
  { plan, ctx }: PlannedEnv,
): Promise<Look> {
  const { check } = operationOf(plan, operation, ctx);
  if (check && 'command' in check) return command(check.command, fence, { ctx });
  if (!check && epoch !== undefined) return { verdict: 'passed', said: 'its health shows after the start' };
  try {
    if (check) await waitHealthy({ kind: 'none', name: operation, stopTimeoutMs: 0, health: check }, ctx, PATIENCE_MS);
    else
      for (const spec of plan.services) {
        const { units } = await services[spec.kind].status(spec as never, ctx);
        await waitHealthy(
          spec,
          ctx,
          PATIENCE_MS,
          units.map(({ name }) => name),
        );
      }
    return { verdict: 'passed', said: 'the application answers as it should' };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (isFailure(error, 'NotHealthy'))
      return { verdict: 'failed', said: 'the application does not answer as it should' };
    return { verdict: 'unclear', said: `nobody could be asked: ${error instanceof Error ? error.message : error}` };
  }
}

async function command(check: Command, fence: Fence | undefined, { ctx }: Pick<PlannedEnv, 'ctx'>): Promise<Look> {
  const name = 'its check';
  try {
    await runCommand(check, ctx, fence ? { fence } : {});
    return { verdict: 'passed', said: `${name} passed` };
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (!isFailure(error, 'ToolFailed', 'ToolMissing', 'ToolStalled', 'SecretUnavailable')) throw error;
    const { exitCode } = (error.details?.[0] ?? {}) as FailureDetails;
    const looked = isFailure(error, 'ToolFailed') && exitCode !== undefined;
    if (looked && exitCode < FIRST_SIGNAL && !CANNOT_LOOK.includes(exitCode))
      return { verdict: 'failed', said: `${name} ended with exit code ${exitCode}` };
    const why = looked
      ? `ended with exit code ${exitCode}`
      : isFailure(error, 'ToolStalled')
        ? 'took too long'
        : 'did not run';
    return { verdict: 'unclear', said: `${name} could not look: it ${why}` };
  }
}
