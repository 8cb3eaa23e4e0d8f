import { type FailureDetails, isFailure } from '../../src/core/failures.js';
import type { Command, HookName } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { runCommand } from '../services/commands.js';

/** What a hook learns of the run, as `HOLDFAST_SITE`, `HOLDFAST_RUN`, … in its environment. */
export interface HookFacts {
  site: string;
  /** The workflow id. */
  run: string;
  workflow: string;
  captureId?: string | undefined;
  outcome?: string | undefined;
  said?: string | undefined;
}

/** EX_TEMPFAIL, the exit code by which a `condition` says "not now". */
const NOT_NOW = 75;

/**
 * Runs one hook of the config. `skip` is true where `condition` ended with 75. Throws HookFailed for any other exit code than 0,
 * ToolMissing, ToolStalled, and the cancellation's own reason.
 */
export async function runHook(
  name: HookName,
  command: Command,
  facts: HookFacts,
  ctx: Context,
): Promise<{ skip: boolean; said: string }> {
  const env = { ...command.env, ...variables(name, facts) };
  const ok = name === 'condition' ? [0, NOT_NOW] : [0];
  try {
    const { exitCode } = await runCommand({ ...command, env }, ctx, { ok });
    const skip = exitCode === NOT_NOW;
    return { skip, said: skip ? 'The condition says: not now' : `The hook ${name} succeeded` };
  } catch (error) {
    if (!isFailure(error, 'ToolFailed')) throw error;
    const details = (error.details?.[0] ?? {}) as FailureDetails;
    const code = details.exitCode === undefined ? 'could not be run' : `ended with exit code ${details.exitCode}`;
    throw ctx.fail('HookFailed', `the hook ${name} ${code}`, { details });
  }
}

function variables(name: HookName, facts: HookFacts): Record<string, string> {
  const all = {
    HOLDFAST_HOOK: name,
    HOLDFAST_SITE: facts.site,
    HOLDFAST_RUN: facts.run,
    HOLDFAST_WORKFLOW: facts.workflow,
    HOLDFAST_CAPTURE: facts.captureId,
    HOLDFAST_OUTCOME: facts.outcome,
    HOLDFAST_SAID: facts.said,
  };
  return Object.fromEntries(Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined));
}
