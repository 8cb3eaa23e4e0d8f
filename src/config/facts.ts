import type { Dirent } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SiteFacts } from '../apps/contract.js';

/** More than that in one directory is media, of which no app needs each name. */
const MOST_ENTRIES = 10_000;
/** As many in all subdirectories together, shared among them: a thousand of a thousand files each must fit into memory. */
const BELOW = { most: 100_000, fewestEach: 10 };

/** What lies in a site's root and in its direct subdirectories; `deeper` are directories below those, and `volumes` come from the services. An unreadable directory has no entries: `prepare` reports it elsewhere. */
export async function gatherFacts(
  root: string,
  volumes: SiteFacts['volumes'] = [],
  deeper: readonly string[] = [],
  { most, fewestEach } = BELOW,
): Promise<SiteFacts> {
  const cut: NonNullable<SiteFacts['cut']> = [];
  const top = await entriesOf(root, MOST_ENTRIES, cut);
  const dirs = top.filter(({ dir }) => dir).map(({ path }) => path);
  const each = Math.min(MOST_ENTRIES, Math.max(fewestEach, Math.floor(most / dirs.length)));
  const entries = [...top];
  // One after the other: what cannot be opened for want of descriptors would look empty.
  for (const path of dirs) for (const entry of await entriesOf(path, each, cut)) entries.push(entry);
  for (const path of deeper)
    for (const entry of await entriesOf(join(root, path), MOST_ENTRIES, cut)) entries.push(entry);
  return { entries, volumes, ...(cut.length > 0 ? { cut } : {}) };
}

async function entriesOf(dir: string, most: number, cut: NonNullable<SiteFacts['cut']>): Promise<SiteFacts['entries']> {
  const found: SiteFacts['entries'] = [];
  try {
    for await (const entry of (await opendir(dir)) as AsyncIterable<Dirent>) {
      if (found.length >= most) {
        cut.push({ path: dir, looked: most });
        break;
      }
      found.push({ path: join(dir, entry.name), dir: entry.isDirectory() });
    }
  } catch {
    return found;
  }
  // Sorted, so that the same tree gives the same plan.
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
