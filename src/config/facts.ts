import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SiteFacts } from '../apps/contract.js';

/** More than that in one directory is media, of which no app needs each name. */
const MOST_ENTRIES = 10_000;

/** What lies in a site's root and in its direct subdirectories; `deeper` are directories below those, and `volumes` come from the services. An unreadable directory has no entries: `prepare` reports it elsewhere. */
export async function gatherFacts(
  root: string,
  volumes: SiteFacts['volumes'] = [],
  deeper: readonly string[] = [],
): Promise<SiteFacts> {
  const top = await entriesOf(root);
  const below = await Promise.all(top.map((entry) => (entry.dir ? entriesOf(entry.path) : [])));
  const more = await Promise.all(deeper.map((path) => entriesOf(join(root, path))));
  return { entries: [...top, ...below.flat(), ...more.flat()], volumes };
}

async function entriesOf(dir: string): Promise<SiteFacts['entries']> {
  const found: SiteFacts['entries'] = [];
  try {
    for await (const entry of (await opendir(dir)) as AsyncIterable<Dirent>) {
      if (found.length >= MOST_ENTRIES) break;
      found.push({ path: join(dir, entry.name), dir: entry.isDirectory() });
    }
  } catch {
    return found;
  }
  // Sorted, so that the same tree gives the same plan.
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
