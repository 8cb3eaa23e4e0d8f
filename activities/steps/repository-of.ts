import type { Snapshot } from '../../src/core/manifest.js';
import type { Plan, RepositorySpec } from '../../src/core/plan.js';
import type { Known } from '../api.js';
import type { Context } from '../contracts.js';
import { engines } from '../engines/index.js';
import { knownLevels } from '../reports.js';
import type { PlannedEnv } from '../step.js';

export function repositoryOf(plan: Plan, name: string, ctx: Context): RepositorySpec {
  const found = plan.repositories.find((repository) => repository.name === name);
  if (found) return found;
  throw ctx.fail('UnknownRepository', `${plan.site} has no repository ${name}`);
}

/** What is to be verified: it may be the one that no run has verified yet. No input can say it. */
export const NEWEST = '(newest)';

/** Whether this host can read what it writes: backups that are encrypted to a key kept elsewhere it cannot (design: "Proof"). */
export function canRead(repository: RepositorySpec): boolean {
  return repository.recipients.length === 0 || repository.identity !== undefined;
}

/**
 * Finds a snapshot by id, start of an id or capture; `latest` is the newest regular, complete and verified one. A host
 * that knows of no verified one (a new machine) takes the newest complete one: what is fetched is checked anyway.
 */
export async function findSnapshot(
  repository: RepositorySpec,
  wanted: string,
  { plan, ctx, deps }: PlannedEnv,
  known?: Known,
): Promise<Snapshot | undefined> {
  const all = await engines[repository.engine].list(repository, plan.siteId, ctx);
  if (wanted !== 'latest' && wanted !== NEWEST)
    return all.find(({ id, captureId }) => id.startsWith(wanted) || captureId.startsWith(wanted));
  const regular = all.filter((snapshot) => snapshot.kind === 'regular' && snapshot.complete);
  if (wanted === NEWEST) return newest(regular);
  const verified = known?.verified ?? (await knownLevels(deps.state, plan.site, repository.name)).verified;
  const good = regular.filter((snapshot) =>
    [...verified].some((id) => id.startsWith(snapshot.id) || snapshot.id.startsWith(id)),
  );
  if (good.length === 0 && regular.length > 0)
    ctx.note(`this host knows of no verified snapshot in ${repository.name}; the newest complete one is taken`);
  return newest(good.length > 0 ? good : regular);
}

export function newest(snapshots: readonly Snapshot[]): Snapshot | undefined {
  return [...snapshots].sort((a, b) => a.capturedAt.localeCompare(b.capturedAt)).at(-1);
}
