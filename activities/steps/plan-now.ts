import { loadFrozen } from '../../src/config/freeze.js';
import { derivePlan } from '../../src/config/plan.js';
import { isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import type { Env } from '../step.js';
import { findSite } from './find-site.js';

/** A site's plan from the config as it is now; undefined, with the reason noted, where that cannot be read. */
export async function planNow(site: string, env: Env): Promise<Plan | undefined> {
  try {
    const config = await findSite(site, env);
    return derivePlan(config, site, { entries: [], volumes: [] }, { host: env.deps.host });
  } catch (error) {
    env.ctx.note(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

/** The frozen plan; where the state directory was lost with it, the config's. */
export async function planOrNow(site: string, digest: string, env: Env): Promise<Plan | undefined> {
  return loadFrozen(env.deps.state.plans, digest, env.ctx).catch((error) => {
    if (!isFailure(error, 'StateUnusable')) throw error;
    env.ctx.note(error.message);
    return planNow(site, env);
  });
}
