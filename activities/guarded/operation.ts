import type { OperationSpec, Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { servedBy } from './shelter-tree.js';

/** How many times the cap of a backup a change gets that loads databases. */
const LOADS = 4;

/** How often a check is asked, and how long between. */
export const TRIES = 3;
export const PAUSE_MS = 2_000;

export function operationOf(plan: Plan, name: string, ctx: Context): OperationSpec {
  const operation = Object.hasOwn(plan.operations, name) ? plan.operations[name] : undefined;
  if (operation) return operation;
  const known = Object.keys(plan.operations).join(', ') || 'none';
  throw ctx.fail('UnknownOperation', `${plan.site} has no operation ${name}; known: ${known}`);
}

/** The hard cap of a section: with an operation, that one's time limit and those of its check before and after, too. */
export function capOf(plan: Plan, name: string | undefined): number {
  const operation = name === undefined ? undefined : plan.operations[name];
  if (!operation) return plan.limits.downtimeMs;
  const { check } = operation;
  // It is loaded once more before the operation begins, which takes longer than the dump.
  const loads = servedBy(plan, operation).length > 0;
  const checkMs = check && 'command' in check ? check.command.timeoutMs + PAUSE_MS : 0;
  return plan.limits.downtimeMs * (loads ? LOADS : 1) + operation.run.timeoutMs + 2 * TRIES * checkMs;
}
