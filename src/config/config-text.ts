import { stringify } from 'yaml';
import type { Config, ConfigFile } from './schema.js';

/**
 * The part of a config that one site needs, as YAML with absolute paths: each snapshot holds it, and `adopt` makes a
 * config of it again. Secrets are references here as everywhere; comments are left out, for people write into them what they should not.
 */
export function configTextOf(config: Config, siteName: string): string {
  const site = config.sites[siteName]!;
  const used = new Set(site.repositories.map((use) => (typeof use === 'string' ? use : use.use)));
  const told = new Set(site.notify ?? config.defaults?.notify ?? []);
  const { path: _, ...file } = config;
  const part: ConfigFile = {
    ...file,
    ...(config.notify ? { notify: pick(config.notify, told) } : {}),
    ...(config.defaults?.notify
      ? { defaults: { ...config.defaults, notify: config.defaults.notify.filter((name) => told.has(name)) } }
      : {}),
    repositories: pick(config.repositories, used),
    sites: { [siteName]: site },
  };
  return stringify(part, { lineWidth: 120 });
}

/** A whole config as YAML, without comments. */
export function configText(config: Config): string {
  const { path: _, ...file } = config;
  return stringify(file, { lineWidth: 120 });
}

function pick<V>(record: Record<string, V>, names: ReadonlySet<string>): Record<string, V> {
  return Object.fromEntries(Object.entries(record).filter(([name]) => names.has(name)));
}
