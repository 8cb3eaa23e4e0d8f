import type { Plan } from '../core/plan.js';
import type { Call } from './context.js';
import { localSite, thisHost } from './sites.js';
import { stateDirOf } from './status.js';

/** What commands that work in this process, on the site's own host and without Temporal, give to the parts. */
export async function onHost(call: Call, step: string, site?: string) {
  const { localContext } = await import('../../activities/local-context.js');
  const notes: string[] = [];
  const ctx = await localContext(step, {
    stateDir: stateDirOf(call),
    host: thisHost(call),
    note: (text) => notes.push(text),
    ...(site ? { site } : {}),
  });
  return { ctx, notes };
}

/** The plan of a site of this host, from the config alone; its repositories are what `only` names, or all. */
export async function planOnHost(call: Call, text: string, only?: unknown): Promise<Plan> {
  const { config, site } = await localSite(call, text);
  const { derivePlan } = await import('../config/plan.js');
  const plan = derivePlan(config, site, { entries: [], volumes: [] }, { host: thisHost(call) });
  if (only === undefined) return plan;
  const repositories = plan.repositories.filter(({ name }) => name === only);
  if (repositories.length > 0) return { ...plan, repositories };
  const { failure } = await import('../core/failures.js');
  const known = plan.repositories.map(({ name }) => name).join(', ');
  throw failure('UnknownRepository', {
    step: 'config',
    host: thisHost(call),
    what: `${site} has no repository ${String(only)}; known: ${known}`,
  });
}
