import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import picomatch from 'picomatch';
import type { BackupRequest, Context } from '../contracts.js';
import { codeOf, exists } from './location.js';

/** One entry on disk. The path is bytes: a name need not be UTF-8. */
interface Entry {
  path: Buffer;
  type: 'f' | 'd' | 'l' | 'o';
  size: number;
  /** Has a length and no block: nothing but a hole, or a file system that does not tell. */
  hollow: boolean;
}

/** Every path that a request names must be there: restic 0.14 skips a missing one with exit code 0. */
export async function assertSources(request: BackupRequest, ctx: Context): Promise<void> {
  for (const path of request.paths)
    if (!(await exists(path)))
      throw ctx.fail('SourceMissing', `${basename(path)} is not there`, { details: { places: [path] } });
}

/** What a request takes: its paths, or its `files` as far as they still exist; none of them inside another one. */
export async function sourcesOf(request: BackupRequest, ctx: Context): Promise<string[]> {
  if (!request.files) return outermost(request.paths);
  const there: string[] = [];
  let gone = 0;
  for (const path of request.files) {
    if (await exists(path)) there.push(path);
    else gone++;
  }
  if (gone > 0) ctx.note(`${gone} of ${request.files.length} listed files were gone when they were to be stored`);
  return outermost(there);
}

function outermost(paths: string[]): string[] {
  const all = new Set(paths);
  const inside = (path: string): boolean => {
    for (let at = dirname(path); at !== dirname(at); at = dirname(at)) if (all.has(at)) return true;
    return all.has('/') && path !== '/';
  };
  return [...all].filter((path) => !inside(path));
}

/** Everything at and below a path, a directory before its contents. What vanishes meanwhile is left out; what cannot be read throws. */
export async function* walk(root: string | Buffer, exclude: readonly string[] = []): AsyncGenerator<Entry> {
  const excluded = exclude.length ? picomatch([...exclude], { dot: true, flags: 's' }) : () => false;
  yield* visit(Buffer.from(root), excluded);
}

async function* visit(path: Buffer, excluded: (path: string) => boolean): AsyncGenerator<Entry> {
  if (excluded(path.toString())) return;
  const stats = await unlessGone(lstat(path));
  if (!stats) return;
  const type = stats.isFile() ? 'f' : stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : 'o';
  const size = type === 'f' ? stats.size : 0;
  yield { path, type, size, hollow: size > 0 && stats.blocks === 0 };
  if (type !== 'd') return;
  const names = (await unlessGone(readdir(path, { withFileTypes: true, encoding: 'buffer' as 'utf8' }))) as
    | (Omit<Dirent, 'name'> & { name: unknown })[]
    | undefined;
  for (const { name } of names ?? []) yield* visit(Buffer.concat([path, SLASH, name as Buffer]), excluded);
}

const SLASH = Buffer.from('/');

function unlessGone<T>(work: Promise<T>): Promise<T | undefined> {
  return work.catch((error) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
}

/** Counts what a restore brought, and that it brought what was asked for: engines pass over a path that they do not hold. */
export async function countRestored(
  target: string,
  paths: readonly string[] | undefined,
  ctx: Context,
): Promise<{ files: number; bytes: number }> {
  for (const path of paths ?? [])
    if (!(await exists(join(target, path))))
      throw ctx.fail('SnapshotDiffers', `the snapshot lacks ${basename(path)}`, { details: { places: [path] } });
  const sum = { files: 0, bytes: 0 };
  for await (const entry of walk(target)) {
    if (entry.type === 'd') continue;
    sum.files++;
    sum.bytes += entry.size;
    if (sum.files % 1000 === 0) ctx.beat({ files: sum.files });
  }
  return sum;
}
