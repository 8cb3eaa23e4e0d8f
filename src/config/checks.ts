import { suggestion } from '../core/near.js';
import { checkRepository } from './check-repository.js';
import { checkSite } from './check-site.js';
import type { Finding } from './findings.js';
import { checkOverlaps } from './overlaps.js';
import { entries, type PartlyConfig } from './partly.js';
import { secretsInTexts } from './plain-secrets.js';
import { checkTimezone } from './times.js';

/** What one look at the text alone can tell, beyond the shape of each key. */
export function checkConfig(config: PartlyConfig): Finding[] {
  const { defaults } = config;
  return [
    ...(defaults?.timezone ? checkTimezone(defaults.timezone, ['defaults', 'timezone']) : []),
    ...checkNotifyNames(defaults?.notify, ['defaults', 'notify'], config),
    ...entries(config.repositories).flatMap(([name, repository]) =>
      checkRepository(repository, ['repositories', name]),
    ),
    ...entries(config.sites).flatMap(([name, site]) => [
      ...checkSite(site, ['sites', name], config),
      ...checkNotifyNames(site.notify, ['sites', name, 'notify'], config),
    ]),
    ...checkIds(config),
    ...checkOverlaps(config),
    ...secretsInTexts(config),
  ];
}

function checkNotifyNames(names: (string | undefined)[] | undefined, path: Finding['path'], config: PartlyConfig) {
  const known = Object.keys(config.notify ?? {});
  return (names ?? []).flatMap((name, i): Finding[] =>
    name === undefined || known.includes(name)
      ? []
      : [{ path: [...path, i], message: `nobody of that name in notify; ${suggestion(name, known)}` }],
  );
}

/**
 * Snapshots are told apart by the site's id alone: only the same site may have it twice, as it is on another host and as
 * it is to become here.
 */
function checkIds(config: PartlyConfig): Finding[] {
  const owners = new Map<string, string>();
  return entries(config.sites).flatMap(([name, site]): Finding[] => {
    const id = site.id ?? name;
    const owner = owners.get(id);
    const other = owner === undefined ? undefined : config.sites?.[owner];
    const moves = other && other.host !== site.host && !(other.pull && site.pull) && (other.pull ?? site.pull);
    if (owner === undefined) owners.set(id, name);
    else if (!moves) {
      const path = site.id === undefined ? ['sites', name] : ['sites', name, 'id'];
      return [{ path, message: `has the id "${id}" of site ${owner}; give each site its own` }];
    }
    return [];
  });
}
