import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import type { FileSetEntry, Manifest } from '../../src/core/manifest.js';
import type { FileSetSpec, Plan } from '../../src/core/plan.js';
import { inSite } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { diskIn, diskOf } from '../capture/disk.js';
import type { Deps } from '../deps.js';
import { below, boundsOf, type Exchange, exchangesOf, MOST, onHost } from './exchanges.js';

type Places = [
  manifest: Manifest,
  site: string,
  aside: string,
  plan: Plan,
  only: readonly string[] | undefined,
  /** What a run itself lives on: the state directory, the config. It stays, wherever it lies. */
  ours?: readonly string[],
];

export const oursOf = ({ state, configPath }: Pick<Deps, 'state' | 'configPath'>): string[] => [state.root, configPath];

/** All that a restore in place exchanges. */
export async function swapsOf(...places: Places): Promise<Exchange[]> {
  const [manifest, site, aside, plan, only] = places;
  return [...(await exchangesOf(manifest, site, aside, plan, only)), ...(await laterOf(...places))];
}

/**
 * What came after the snapshot into a directory that is exchanged entry by entry, because something in it stays: it goes aside too.
 * Else a restored state would be mixed with a later one.
 */
export async function laterOf(...[manifest, site, aside, plan, only, ours = []]: Places): Promise<Exchange[]> {
  const later: Exchange[] = [];
  for (const entry of manifest.fileSets) {
    const spec = plan.fileSets.find(({ name }) => name === entry.name);
    if (!spec || spec.include.length > 0 || entry.parts || !(only?.includes(entry.name) ?? true)) continue;
    for await (const live of since(entry, spec, manifest, site, plan, ours)) {
      later.push({ live, aside: join(aside, below(plan.root, live)), sidecars: [] });
      if (later.length > MOST) return later;
    }
  }
  return later;
}

async function* since(
  entry: FileSetEntry,
  spec: FileSetSpec,
  manifest: Manifest,
  site: string,
  plan: Plan,
  ours: readonly string[],
): AsyncGenerator<string> {
  const { stays, belongs } = boundsOf(entry, spec, manifest);
  const others = plan.fileSets.filter((each) => each !== spec).map(({ root }) => root);
  async function* at(path: string): AsyncGenerator<string> {
    const live = onHost(path, manifest, plan);
    if (!belongs(path) || isOurs(live, plan) || ours.includes(live)) return;
    const found = await lstat(live).catch(() => undefined);
    // A socket is its program's, which may be running, and is in no snapshot.
    if (!found || found.isSocket()) return;
    const restored = await exists(inSite(site, manifest, path));
    const looked = found.isDirectory() && (stays(path) || ours.some((each) => isWithin(each, live)));
    if (looked && !(restored && spec.whole))
      for (const name of await readdir(live).catch(gone)) yield* at(join(path, name));
    else if (!restored && !others.some((each) => isWithin(each, live)) && (await onDiskOfParent(live))) yield live;
  }
  yield* at(entry.root);
}

/** The application still runs when this is first looked at. */
function gone(error: NodeJS.ErrnoException): string[] {
  if (error.code !== 'ENOENT') throw error;
  return [];
}

/** A mount point stays: it cannot be renamed. */
async function onDiskOfParent(path: string): Promise<boolean> {
  return (await diskOf(path)) === (await diskIn(dirname(path)));
}

/** Trees of restores and rollbacks lie in a root that is a disk of its own. */
function isOurs(path: string, { root }: Plan): boolean {
  const name = basename(path);
  return ['holdfast', 'before', 'rolled-back'].some((kind) => name.startsWith(`.${basename(root)}.${kind}-`));
}
