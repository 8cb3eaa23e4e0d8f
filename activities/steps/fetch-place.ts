import { basename, dirname, join } from 'node:path';
import type { Plan } from '../../src/core/plan.js';
import type { FetchInput } from '../api.js';
import { exists } from '../capture/copy.js';
import { diskIn } from '../capture/disk.js';
import type { Context } from '../contracts.js';
import type { Deps } from '../deps.js';
import type { Holder } from '../site/api.js';

/** Where a snapshot is fetched to. `tree` is ours alone and is removed before a repeat; `final` appears by a rename at the end. */
export interface FetchPlace {
  what: string;
  tree: string;
  final?: string;
}

export async function fetchPlace(
  input: FetchInput,
  plan: Plan,
  deps: Deps,
  holder: Holder,
  ctx: Context,
): Promise<FetchPlace> {
  const run = runTag(holder);
  if (input.into === 'scratch') {
    return { what: 'scratch', tree: scratchTree(plan, deps, run) };
  }
  if (input.into === 'beside') return { what: "the site's disk", tree: besideTree(await homeOf(plan), plan, run) };
  if (plan.restore.root === undefined || input.target === undefined) {
    throw ctx.fail('InvalidConfig', 'a restore into a directory needs restore.root', {
      advice: 'set restore.root in holdfast.yaml',
    });
  }
  const final = join(plan.restore.root, input.target);
  if (await exists(final))
    throw ctx.fail('RestoreRefused', `the target ${input.target} exists already`, { advice: 'name another target' });
  return { what: 'restore.root', tree: join(plan.restore.root, `.${input.target}.${run}.partial`), final };
}

/** Tells a run's trees from those of others: the end of its id, as the beginning is a clock that two runs may share. */
export function runTag({ firstRunId }: Pick<Holder, 'firstRunId'>): string {
  return firstRunId.replaceAll('-', '').slice(-12);
}

/** A restore test's tree. */
export function scratchTree(plan: Plan, deps: Deps, run: string): string {
  return join(plan.restoreTest.scratch ?? join(deps.state.work, 'scratch'), `holdfast-${plan.site}-${run}`);
}

/**
 * Where the trees of a restore in place lie, so that a swap is a rename: in the directory above the site's root, or in the
 * root itself where that is a disk of its own.
 */
export async function homeOf({ root }: Pick<Plan, 'root'>): Promise<string> {
  const above = dirname(root);
  return (await exists(root)) && (await diskIn(root)) !== (await diskIn(above)) ? root : above;
}

export function besideTree(home: string, { root }: Pick<Plan, 'root'>, run: string): string {
  return join(home, `.${basename(root)}.holdfast-${run}`);
}

/** Where what a guarded change made goes when it is rolled back; kept for 7 days. */
export function rolledBackTree(home: string, { root }: Pick<Plan, 'root'>, run: string): string {
  return join(home, `.${basename(root)}.rolled-back-${run}`);
}

/** Where the live state goes when a restore replaces it; kept for 7 days. */
export function asideTree(home: string, { root }: Pick<Plan, 'root'>, run: string): string {
  return join(home, `.${basename(root)}.before-${run}`);
}
