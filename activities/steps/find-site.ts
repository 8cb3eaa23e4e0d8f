import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import type { Env } from '../step.js';

/** The config as it is now, and that it has this site on this host. */
export async function findSite(site: string, { deps, ctx }: Env): Promise<Config> {
  const config = await loadConfig(deps.configPath, { site, host: deps.host, step: ctx.step });
  const known = Object.keys(config.sites);
  const entry = config.sites[site];
  if (!entry) throw ctx.fail('UnknownSite', `there is no site "${site}"; known: ${known.join(', ') || 'none'}`);
  const host = entry.host ?? deps.host;
  if (host !== deps.host)
    throw ctx.fail('UnknownSite', `site "${site}" is on host ${host}`, { advice: `name it as ${site}@${host}` });
  return config;
}
