import { loadConfig } from '../../src/config/load.js';
import { formatAddress } from '../../src/core/names.js';
import type { Chosen } from '../api.js';
import type { Deps } from '../deps.js';

/** The sites of this host's config, or those of one application: names alone, each run looks at the rest itself. */
export const choose =
  (deps: Deps) =>
  async ({ app }: { host: string; app?: string }): Promise<Chosen> => {
    const began = new Date();
    const config = await loadConfig(deps.configPath, { look: 'nothing', host: deps.host, step: 'choose' });
    const sites = Object.entries(config.sites)
      .filter(([, site]) => (site.host ?? deps.host) === deps.host && (app === undefined || site.app === app))
      .map(([site]) => formatAddress({ site, host: deps.host }));
    const ended = new Date();
    return {
      said: `${sites.length} ${sites.length === 1 ? 'site' : 'sites'}`,
      step: 'choose',
      host: deps.host,
      startedAt: began.toISOString(),
      endedAt: ended.toISOString(),
      tookMs: ended.getTime() - began.getTime(),
      notes: [],
      sites,
    };
  };
