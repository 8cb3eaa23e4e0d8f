import { relative } from 'node:path';
import type { Finding } from './findings.js';
import { entries, type PartlyConfig } from './partly.js';
import { localPath } from './resolve.js';

/** Directories that lie in one another. `real` follows links where the machine can be asked. */
export function checkOverlaps(config: PartlyConfig, real: (path: string) => string = (path) => path): Finding[] {
  const sites = entries(config.sites).flatMap(([name, { root, host }]) =>
    root ? [{ name, host, root: real(root) }] : [],
  );
  const findings = sites.flatMap((site, i) =>
    sites.slice(0, i).flatMap((other): Finding[] => {
      if (site.host !== other.host) return [];
      const path = ['sites', site.name, 'root'];
      if (site.root === other.root)
        return [{ path, message: `is the directory of site ${other.name} too; give each site its own` }];
      if (inside(site.root, other.root))
        return [{ path, message: `lies inside site ${other.name}; make them one site or move one` }];
      if (inside(other.root, site.root))
        return [{ path, message: `holds site ${other.name}; make them one site or move one` }];
      return [];
    }),
  );
  for (const place of places(config)) {
    const where = real(place.dir);
    for (const site of sites) {
      if (inside(where, site.root) || where === site.root)
        findings.push({
          path: place.path,
          message: `${place.what} lies inside site ${site.name}, and would be backed up with it; move it`,
        });
      else if (place.store && inside(site.root, where))
        findings.push({
          path: place.path,
          message: `${place.what} holds site ${site.name}; give it a directory of its own`,
        });
    }
  }
  return findings;
}

/** Directories of ours that no site may hold. */
function places(config: PartlyConfig) {
  const found: { dir: string; path: Finding['path']; what: string; store: boolean }[] = [];
  for (const [name, { location }] of entries(config.repositories)) {
    const dir = location && localPath(location);
    if (dir) found.push({ dir, path: ['repositories', name, 'location'], what: 'the repository', store: true });
  }
  if (config.restore?.root)
    found.push({ dir: config.restore.root, path: ['restore', 'root'], what: 'restore.root', store: false });
  for (const [name, { restoreTest }] of entries(config.sites))
    if (restoreTest?.scratch)
      found.push({
        dir: restoreTest.scratch,
        path: ['sites', name, 'restoreTest', 'scratch'],
        what: 'scratch',
        store: false,
      });
  return found;
}

function inside(path: string, dir: string): boolean {
  const way = relative(dir, path);
  return way !== '' && way !== '..' && !way.startsWith('../');
}
