import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Snapshot } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { codeOf } from './location.js';

/**
 * Dated trees: `<siteId>/<YYYYMMDDTHHMMSSZ>-<capture>/` holds the files at their absolute paths, `<id>.list.gz` beside it
 * what they are and their SHA-256, `<id>.json` is the completion mark, written last and removed first. A tree whose copy did not
 * finish is called `<id>.partial`.
 */
export const Mark = z.object({
  schema: z.literal(1),
  complete: z.literal(true),
  /** Of `<id>.list.gz`. */
  listSha256: z.string().regex(/^[0-9a-f]{64}$/),
  entries: z.int(),
  sourceFiles: z.int(),
  sourceBytes: z.int(),
  host: z.string(),
  site: z.string(),
  snapshot: Snapshot.omit({ repository: true }),
});
export type Mark = z.infer<typeof Mark>;

export interface Tree {
  id: string;
  mark: Mark;
  /** The directory of the site. */
  dir: string;
  /** Where the files lie. */
  path: string;
  list: string;
  /** Tree and list are there. */
  whole: boolean;
}

/** An id is a file name of ours: nothing else may reach a path. */
export const SAFE = /^[A-Za-z0-9][\w.-]*$/;

/** `2026-11-21T03:00:00.123Z`, `1f0c2a9b-…` → `20261121T030000Z-1f0c2a9b`: sorts by time. */
export function treeId(capturedAt: string, captureId: string): string {
  return `${capturedAt.replace(/[-:]|\.\d+/g, '')}-${captureId.slice(0, 8)}`;
}

export const markOf = (dir: string, id: string): string => join(dir, `${id}.json`);
export const listOf = (dir: string, id: string): string => join(dir, `${id}.list.gz`);

/** Ids of the sites that have a directory here. */
export async function siteDirs(repo: RepositorySpec): Promise<string[]> {
  const entries = await readdir(repo.location, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() && SAFE.test(entry.name) ? [entry.name] : [])).sort();
}

/** Complete trees of one site, the one that was stored last at the end. A mark that cannot be read is damage, not absence. */
export async function treesOf(repo: RepositorySpec, siteId: string, ctx: Context): Promise<Tree[]> {
  const dir = join(repo.location, siteId);
  const found: Tree[] = [];
  for (const name of (await namesIn(dir)).filter((each) => each.endsWith('.json') && SAFE.test(each)).sort()) {
    const id = name.slice(0, -'.json'.length);
    const mark = Mark.safeParse(json(await readFile(join(dir, name), 'utf8'))).data;
    if (!mark || mark.snapshot.id !== id)
      throw ctx.fail('RepositoryDamaged', `a completion mark in ${repo.name} cannot be read`, {
        details: { places: [`${siteId}/${name}`] },
      });
    const [path, list] = [join(dir, id), listOf(dir, id)];
    const whole = (await isThere(path, 'dir')) && (await isThere(list, 'file'));
    found.push({ id, mark, dir, path, list, whole });
  }
  return found.sort((a, b) => a.mark.snapshot.storedAt.localeCompare(b.mark.snapshot.storedAt));
}

export async function allTrees(repo: RepositorySpec, ctx: Context): Promise<Tree[]> {
  const found: Tree[] = [];
  for (const site of await siteDirs(repo)) found.push(...(await treesOf(repo, site, ctx)));
  return found;
}

export async function findTree(repo: RepositorySpec, id: string, ctx: Context): Promise<Tree> {
  const found = SAFE.test(id) ? (await allTrees(repo, ctx)).find((tree) => tree.id === id) : undefined;
  if (found) return found;
  throw ctx.fail('SnapshotMissing', `repository ${repo.name} has no such snapshot`);
}

/** Trees of this site whose copy did not finish. */
export async function partialsIn(dir: string): Promise<string[]> {
  return (await namesIn(dir)).filter((name) => name.endsWith('.partial') && SAFE.test(name)).sort();
}

/** Takes a tree out of the listing, and out of the way, without a moment at which half of one is listed. */
export async function withdraw(dir: string, id: string): Promise<string | undefined> {
  await rm(markOf(dir, id), { force: true });
  await syncDirectory(dir);
  await rm(listOf(dir, id), { force: true });
  const gone = join(dir, `${id}.gone`);
  if (!(await isThere(join(dir, id), 'dir'))) return undefined;
  await rm(gone, { recursive: true, force: true });
  await rename(join(dir, id), gone);
  return gone;
}

/** Removes a tree that nobody lists any more. A directory may forbid its own owner to change it. */
export async function removeTree(path: string, ctx: Context): Promise<void> {
  if (process.getuid?.() !== 0)
    await ctx.run('find', [path, '-type', 'd', '!', '-perm', '-u+rwx', '-exec', 'chmod', 'u+rwx', '{}', '+'], {
      ok: [0, 1],
    });
  await ctx.run('rm', ['-rf', '--', path]);
}

/** What a dead attempt left besides its partial tree. */
export async function clearLeftovers(dir: string, ctx: Context): Promise<void> {
  for (const name of await namesIn(dir))
    if (/\.(gone|tmp)$/.test(name) && SAFE.test(name)) await removeTree(join(dir, name), ctx);
}

async function namesIn(dir: string): Promise<string[]> {
  return readdir(dir).catch((error) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
}

async function isThere(path: string, what: 'dir' | 'file'): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return what === 'dir' ? (found?.isDirectory() ?? false) : (found?.isFile() ?? false);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
