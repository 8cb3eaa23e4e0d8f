import { realpath } from 'node:fs/promises';
import { isFailure } from '../../src/core/failures.js';
import { livesElsewhere, type Plan, type RepositorySpec } from '../../src/core/plan.js';
import { engines } from '../engines/index.js';
import { readReports } from '../reports.js';
import type { Env } from '../step.js';

/**
 * Opens every repository before anything stops. One that does not open is no reason to leave the others without a
 * backup: only when none opens the run ends here. A repository that has never held anything of ours is created.
 */
export async function preflightRepositories(plan: Plan, mayCreate: boolean, env: Env): Promise<void> {
  const { ctx } = env;
  attributesAreKept(plan, ctx);
  const failures: unknown[] = [];
  const here = plan.repositories.filter((repository) => !livesElsewhere(repository, plan.host));
  await Promise.all(
    here.map(async (repository) => {
      try {
        await notInSource(plan, repository, env);
        await engines[repository.engine].preflight(repository, ctx);
        await engines[repository.engine].accepts?.(repository, plan, ctx);
        await open(plan, repository, mayCreate, env);
      } catch (error) {
        if (ctx.signal.aborted || isFailure(error, 'RepositoryInSource')) throw error;
        failures.push(error);
        ctx.note(
          `repository ${repository.name} is not ready: ${error instanceof Error ? error.message : String(error)}`,
        );
      }
    }),
  );
  // Another machine opens its own when its part begins.
  if (failures.length > 0 && failures.length === plan.repositories.length) throw failures[0];
}

/** ACLs are extended attributes too: an account that comes back without them is open, or closed, to the wrong people. */
export function attributesAreKept(plan: Plan, ctx: Env['ctx']): void {
  const sets = plan.fileSets.filter(({ attributes }) => attributes).map(({ name }) => name);
  const unable = plan.repositories.filter(({ engine }) => !engines[engine].abilities.xattrs);
  if (sets.length > 0 && unable.length > 0)
    throw ctx.fail(
      'InvalidConfig',
      `${unable.map(({ name, engine }) => `${name} (${engine})`).join(', ')} keeps no extended attributes, which ${sets.join(', ')} needs`,
      {
        advice: 'store it with an engine that does: restic, archive',
      },
    );
}

async function open(plan: Plan, repository: RepositorySpec, mayCreate: boolean, { deps, ctx }: Env): Promise<void> {
  const engine = engines[repository.engine];
  try {
    await engine.open(repository, ctx);
  } catch (error) {
    if (!mayCreate || !isFailure(error, 'RepositoryMissing')) throw error;
    const reports = await readReports(deps.state, plan.site);
    // One that was there before is lost or not mounted: a new one in its place would hide that.
    if (
      reports.some((report) =>
        report.repositories.some((entry) => entry.repository === repository.name && entry.snapshot),
      )
    )
      throw error;
    await engine.init(repository, ctx);
    ctx.note(`repository ${repository.name} was created`);
  }
}

async function notInSource(plan: Plan, repository: RepositorySpec, { ctx }: Env): Promise<void> {
  if (!repository.location.startsWith('/')) return;
  const location = await realpath(repository.location).catch(() => repository.location);
  for (const set of plan.fileSets) {
    const root = await realpath(set.root).catch(() => set.root);
    if (set.include.length === 0 && `${location}/`.startsWith(`${root}/`)) {
      throw ctx.fail('RepositoryInSource', `repository ${repository.name} lies inside the file set ${set.name}`);
    }
  }
}
