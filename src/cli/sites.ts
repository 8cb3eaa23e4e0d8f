import type { Config } from '../config/schema.js';
import { DEFAULT_HOST, formatAddress, parseAddress } from '../core/names.js';
import { type Call, CliError, findConfig } from './context.js';
import { EXIT } from './exit-codes.js';

/** The name of this host's worker: `--host`, else HOLDFAST_HOST, else `local`. */
export function thisHost(call: Call): string {
  const { host } = call.options;
  return typeof host === 'string' ? host : call.cli.env.HOLDFAST_HOST || DEFAULT_HOST;
}

/** The config as it is written; its mistakes are all listed. What the machine has of it is looked at by `check` and by each run. */
export async function loadConfig(call: Call): Promise<Config> {
  const { loadConfig: load } = await import('../config/load.js');
  return load(call.configFile(), { look: 'nothing', host: thisHost(call) });
}

/**
 * The full address of a site that a person named: `cms`, or `cms@web1`. Where the config is at hand, an unknown name is
 * refused here and the known ones are listed; elsewhere (a laptop) the site's own host decides.
 */
export async function addressOf(call: Call, text: string): Promise<string> {
  const config = await configIfAny(call);
  const address = parseAddress(text);
  if (!config) return formatAddress(address);
  const named = text.includes('@');
  const lines = config.sites[address.site];
  const host = lines?.host ?? thisHost(call);
  if (named && address.host !== host) return formatAddress(address);
  if (lines) return formatAddress({ site: address.site, host });
  throw unknownSite(config, text);
}

/** A site of this host's config. */
export async function localSite(call: Call, text: string): Promise<{ config: Config; site: string }> {
  const config = await loadConfig(call);
  const { site } = parseAddress(text);
  if (!config.sites[site]) throw unknownSite(config, text);
  return { config, site };
}

async function configIfAny(call: Call): Promise<Config | undefined> {
  if (call.options.config === undefined) {
    try {
      findConfig(call.cli.cwd, undefined);
    } catch {
      return undefined;
    }
  }
  return loadConfig(call);
}

function unknownSite(config: Config, text: string): CliError {
  const known = Object.keys(config.sites).join(', ') || 'none';
  return new CliError(EXIT.usage, `there is no site "${text}" in ${config.path}; known: ${known}`);
}
