import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import picomatch from 'picomatch';
import { isWithin } from '../../src/apps/coverage.js';
import { FileLine, type FileSetEntry, type Manifest } from '../../src/core/manifest.js';
import { type FileSetSpec, type Plan, pathOf } from '../../src/core/plan.js';
import { ABOUT, inSite } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { diskIn, diskOf, mountsBelow } from '../capture/disk.js';
import { readLines } from '../capture/lines.js';
import { outermost } from '../capture/places.js';
import { matcher } from '../capture/walk.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';

/** One exchange: what is live goes aside, and what was fetched takes its place. A sidecar has nothing that takes its place. */
export interface Exchange {
  live: string;
  aside: string;
  incoming?: string;
  /** What an application may write beside it once it runs. */
  sidecars: string[];
}

/** Each exchange is two renames under the lock, and as many to take it back: so many fit into a short outage. */
export const MOST = 1000;

/** What a swap exchanges, in this order: whole directories as far as nothing in them stays, else what is in them. */
export async function exchangesOf(
  manifest: Manifest,
  site: string,
  aside: string,
  plan: Plan,
  only: readonly string[] | undefined,
): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  const wanted = (name: string) => only?.includes(name) ?? true;
  const add = (path: string, incoming: boolean, sidecars: string[] = []) => {
    const live = onHost(path, manifest, plan);
    exchanges.push({
      sidecars: sidecars.map((each) => onHost(each, manifest, plan)),
      live,
      aside: join(aside, below(plan.root, live)),
      ...(incoming ? { incoming: inSite(site, manifest, path) } : {}),
    });
  };
  for (const { name, kind, path } of manifest.databases) {
    if (!wanted(name) || path === undefined) continue;
    const sidecars = databases[kind as keyof typeof databases].sidecars(path);
    for (const sidecar of sidecars) add(sidecar, false);
    add(path, true, sidecars);
  }
  for (const entry of manifest.fileSets) {
    if (!wanted(entry.name)) continue;
    const spec = plan.fileSets.find(({ name }) => name === entry.name);
    if (entry.parts || (spec?.change === 'live' && spec.include.length > 0)) {
      for (const path of await outermost(join(site, ABOUT, entry.list))) add(join(entry.root, path), true);
    } else if (spec && spec.include.length === 0) {
      for await (const path of wholes(entry, spec, manifest, site)) add(path, true);
    } else {
      for await (const text of readLines(join(site, ABOUT, entry.list))) {
        const line = FileLine.parse(JSON.parse(text));
        if (line.t !== 'd') add(join(entry.root, line.p), true);
        // Looked at before anything stops: no need to hold them all.
        if (exchanges.length > MOST) break;
      }
    }
  }
  return exchanges;
}

/** Throws RestoreRefused where a database could not be made here, for want of the program that imports it: nothing would take the live one's place. */
export async function mustBeMade(
  manifest: Manifest,
  site: string,
  only: readonly string[] | undefined,
  ctx: Context,
): Promise<void> {
  for (const { name, path } of manifest.databases) {
    if (path === undefined || !(only?.includes(name) ?? true) || (await exists(inSite(site, manifest, path)))) continue;
    throw ctx.fail('RestoreRefused', `${name} could not be imported here: its program is not installed`, {
      advice: 'install it, or restore into a directory (--target) and import the export by hand',
    });
  }
}

const BY_HAND = 'restore into a directory (--target) and move it by hand, or name other parts with --only';

/**
 * Throws RestoreRefused where an exchange would be no rename (another disk, a mount point): a copy cannot be taken back by
 * whoever finds it half done. And where there are more of them than an outage should last.
 */
export async function mustBeRenames(exchanges: readonly Exchange[], home: string, ctx: Context): Promise<void> {
  if (exchanges.length > MOST)
    throw ctx.fail('RestoreRefused', `more than ${MOST} files would have to be exchanged one by one`, {
      advice: BY_HAND,
    });
  const disk = await diskIn(home);
  for (const { live } of exchanges) {
    ctx.beat();
    if ((await diskOf(live)) !== disk || (await diskIn(dirname(live))) !== disk) throw onAnotherDisk(live, home, ctx);
    const [mounted] = await mountsBelow(live);
    if (mounted !== undefined)
      throw ctx.fail('RestoreRefused', `a disk is mounted in ${basename(live)}, and would be moved aside with it`, {
        advice: `exclude it, or unmount it first; or ${BY_HAND}`,
        details: { places: [mounted] },
      });
  }
}

/** The same as far as the plan alone tells it: known before a snapshot is fetched that could not go in. */
export async function mustShareDisk(
  plan: Pick<Plan, 'databases' | 'fileSets'>,
  only: readonly string[] | undefined,
  home: string,
  ctx: Context,
): Promise<void> {
  const wanted = ({ name }: { name: string }) => only?.includes(name) ?? true;
  const places = [
    ...plan.databases.filter(wanted).flatMap((spec) => pathOf(spec) ?? []),
    ...plan.fileSets.filter((set) => wanted(set) && set.include.length === 0).map(({ root }) => root),
  ];
  const disk = await diskIn(home);
  // A link may be moved as itself, or what is in the directory behind it.
  for (const place of places)
    if ((await exists(place)) && (await diskOf(place)) !== disk && (await diskIn(place)) !== disk)
      throw onAnotherDisk(place, home, ctx);
}

function onAnotherDisk(live: string, home: string, ctx: Context): Error {
  return ctx.fail('RestoreRefused', `${basename(live)} lies on another disk than the site`, {
    advice: BY_HAND,
    details: { places: [live, home] },
  });
}

/** Which paths of a set stay where they are, or hold something that does; and which belong to it at all. */
export function boundsOf(entry: FileSetEntry, spec: FileSetSpec, manifest: Manifest) {
  const matches = matcher(spec);
  const exact = [manifest.root, ...manifest.databases.flatMap(({ path }) => path ?? [])];
  const globs: string[] = [];
  for (const pattern of spec.exclude) {
    const { base, isGlob } = picomatch.scan(pattern);
    (isGlob ? globs : exact).push(join(entry.root, base.replace(/\\(.)/g, '$1')));
  }
  return {
    stays: (path: string) =>
      exact.some((one) => isWithin(one, path)) || globs.some((one) => isWithin(one, path) || isWithin(path, one)),
    belongs: (path: string) => {
      const inside = relative(entry.root, path);
      return path !== join(manifest.root, ABOUT) && (inside === '' || matches(inside));
    },
  };
}

/** Paths of a restored set that can go in as one: directories in which nothing is left out of the set, and files. */
async function* wholes(
  entry: FileSetEntry,
  spec: FileSetSpec,
  manifest: Manifest,
  site: string,
): AsyncGenerator<string> {
  const { stays, belongs } = boundsOf(entry, spec, manifest);
  async function* at(path: string): AsyncGenerator<string> {
    if (!belongs(path)) return;
    const found = await lstat(inSite(site, manifest, path)).catch(() => undefined);
    if (!found) return;
    if (spec.whole || !found.isDirectory() || !stays(path)) yield path;
    else for (const name of await readdir(inSite(site, manifest, path))) yield* at(join(path, name));
  }
  yield* at(entry.root);
}

/** A path of the manifest on this host: the site may have another root now. */
export function onHost(path: string, manifest: Manifest, plan: Plan): string {
  const inside = relative(manifest.root, path);
  return inside.startsWith('..') ? path : join(plan.root, inside);
}

/** Where a path goes below the tree of what is put aside. */
export function below(root: string, path: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? join('outside', path) : inside;
}
