import { chmod, chown, lstat, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { ABOUT, type Manifest } from '../../src/core/manifest.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import { syncDirectory } from '../site/durable.js';
import { exists } from './copy.js';
import { likeBefore } from './parents.js';
import { databasePieces, setPieces, stagingBelow } from './restored.js';

export { ABOUT };

/** The arranged site of a fetched tree. */
export function siteIn(tree: string): string {
  return join(tree, 'site');
}

/** Makes of a fetched tree the site as it lies on its host: databases at their paths, file sets at their roots, the rest in `.holdfast`. */
export async function arrange(
  manifest: Manifest,
  tree: string,
  only: readonly string[] | undefined,
  ctx: Context,
): Promise<string> {
  const site = siteIn(tree);
  await mkdir(site, { mode: 0o755 });
  const wanted = (name: string) => only === undefined || only.includes(name);
  for (const { name, from, to, entry } of setPieces(manifest, tree)) {
    if (!wanted(name)) continue;
    for (const part of entry.parts ?? ['.'])
      if (await exists(join(from, part))) await merge(join(from, part), inSite(site, manifest, join(to, part)));
  }
  for (const { name, from, to, entry } of databasePieces(manifest, tree)) {
    if (!wanted(name)) continue;
    const target = inSite(site, manifest, to);
    await makeFor(target, entry);
    await placeDatabase(from, target, entry, ctx);
  }
  await rename(stagingBelow(manifest, tree), join(site, ABOUT));
  await likeBefore(site, manifest.directories ?? []);
  return site;
}

/** No manifest knows the directory of a database; its owner writes a log beside it. */
async function makeFor(target: string, { uid, gid }: Manifest['databases'][number]): Promise<void> {
  const first = await mkdir(dirname(target), { recursive: true });
  if (first === undefined || process.getuid?.() !== 0 || uid === undefined || gid === undefined) return;
  for (let at = dirname(target); at.length >= first.length; at = dirname(at)) await chown(at, uid, gid);
}

/** Where a host path of the manifest lies in an arranged site. */
export function inSite(site: string, manifest: Manifest, path: string): string {
  return join(site, below(manifest.root, path));
}

/** Moves an arranged site to its final name and removes what is left of the tree. */
export async function moveTo(final: string, tree: string): Promise<void> {
  await rename(siteIn(tree), final);
  await syncDirectory(dirname(final));
  await rm(tree, { recursive: true, force: true });
}

/** A path below the root as it is; one elsewhere on the host keeps its whole path. */
function below(root: string, path: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? path.slice(1) : inside;
}

/** Puts a dump in place as a database, with the owner and mode that it had. An SQL text is loaded. */
export async function placeDatabase(
  from: string,
  target: string,
  entry: Manifest['databases'][number],
  ctx: Context,
): Promise<void> {
  const kind = databases[entry.kind as keyof typeof databases];
  for (const sidecar of kind.sidecars(target)) await rm(sidecar, { force: true });
  if (entry.format === 'file') await rename(from, target);
  else await kind.load(from, entry.format, target, ctx);
  // An export that cannot be imported here lies beside it, for its reader alone.
  if (!(await exists(target))) return;
  if (process.getuid?.() === 0 && entry.uid !== undefined && entry.gid !== undefined)
    await chown(target, entry.uid, entry.gid);
  if (entry.mode !== undefined) await chmod(target, entry.mode & 0o7777);
}

/** Moves a tree where another may lie already: directories are joined, files are moved. */
async function merge(from: string, to: string): Promise<void> {
  if (!(await exists(to))) {
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
    return;
  }
  if (!(await lstat(from)).isDirectory()) {
    await rename(from, to);
    return;
  }
  for (const name of await readdir(from)) await merge(join(from, name), join(to, name));
}
