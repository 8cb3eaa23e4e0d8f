import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { Snapshot } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { codeOf } from './location.js';

/**
 * The archive's end mark: `<siteId>/<capturedAt>-<captureId>.json` beside the `.tar.zst`. It is written last and removed
 * first, so an archive exists exactly while its mark does, whatever is killed in between; a tar file without one is
 * garbage that the next backup of the site clears.
 */
export const Mark = z.object({
  schema: z.literal(1),
  complete: z.literal(true),
  /** Name of the archive in the same directory. */
  file: z.string().regex(/^[\w.-]+$/),
  /** Of the stored bytes, as they lie on disk. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.int(),
  compression: z.enum(['zstd', 'gzip']),
  encrypted: z.boolean(),
  sourceBytes: z.int(),
  sourceFiles: z.int(),
  host: z.string(),
  site: z.string(),
  snapshot: Snapshot.omit({ repository: true }),
});
export type Mark = z.infer<typeof Mark>;

export interface Archive {
  mark: Mark;
  /** Directory of the site. */
  dir: string;
  path: string;
  /** The file is there and as long as its mark says. */
  whole: boolean;
}

/** An id is a file name of ours: nothing else may reach a path. */
export const SAFE = /^[A-Za-z0-9][\w.-]*$/;

/** `2026-11-21T03:00:00.123Z` → `20261121T030000.123Z`: sorts by time, and is a file name everywhere. */
export function archiveId(capturedAt: string, captureId: string): string {
  return `${capturedAt.replace(/[-:]/g, '')}-${captureId}`;
}

export function markPath(dir: string, id: string): string {
  return join(dir, `${id}.json`);
}

/** Ids of the sites that have a directory here. */
export async function siteDirs(repo: RepositorySpec): Promise<string[]> {
  const entries = await readdir(repo.location, { withFileTypes: true });
  return entries.flatMap((entry) => (entry.isDirectory() && SAFE.test(entry.name) ? [entry.name] : [])).sort();
}

/** Archives of one site, oldest capture first. A mark that cannot be read is damage, not absence. */
export async function archivesOf(repo: RepositorySpec, siteId: string, ctx: Context): Promise<Archive[]> {
  const dir = join(repo.location, siteId);
  const names = await readdir(dir).catch((error) => {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  });
  const found: Archive[] = [];
  for (const name of names.filter((each) => each.endsWith('.json') && SAFE.test(each)).sort()) {
    const mark = Mark.safeParse(json(await readFile(join(dir, name), 'utf8'))).data;
    if (!mark || mark.snapshot.id !== name.slice(0, -'.json'.length))
      throw ctx.fail('RepositoryDamaged', `an end mark in ${repo.name} cannot be read`, {
        details: { places: [`${siteId}/${name}`] },
      });
    const path = join(dir, mark.file);
    found.push({ mark, dir, path, whole: (await sizeOf(path)) === mark.bytes });
  }
  return found;
}

export async function findArchive(repo: RepositorySpec, id: string, ctx: Context): Promise<Archive> {
  if (SAFE.test(id))
    for (const site of await siteDirs(repo)) {
      const found = (await archivesOf(repo, site, ctx)).find(({ mark }) => mark.snapshot.id === id);
      if (found) return found;
    }
  throw ctx.fail('SnapshotMissing', `repository ${repo.name} has no such snapshot`);
}

/** Removes an archive, its mark first; also what an earlier removal left. Bytes freed. */
export async function removeArchive(dir: string, id: string, keep: readonly string[] = []): Promise<number> {
  const names = await readdir(dir);
  if (names.includes(`${id}.json`)) {
    await rm(markPath(dir, id), { force: true });
    await syncDirectory(dir);
  }
  let freed = 0;
  for (const name of names.filter((each) => each.startsWith(`${id}.tar.`) && !keep.includes(each))) {
    freed += (await sizeOf(join(dir, name))) ?? 0;
    await rm(join(dir, name), { force: true });
  }
  await syncDirectory(dir);
  return freed;
}

/** A live attempt writes all the time; a file that nobody touched for an hour is a dead one's. */
const ABANDONED_MS = 3600_000;

/** Clears what dead attempts left: everything of this capture, and of others what nobody touched for an hour. */
export async function clearLeftovers(dir: string, id: string): Promise<void> {
  const names = await readdir(dir);
  for (const name of names) {
    const own = /^(.+?)\.tar\./.exec(name)?.[1];
    if (own === undefined || (names.includes(`${own}.json`) && !name.endsWith('.partial'))) continue;
    const { mtimeMs } = await stat(join(dir, name));
    if (own === id || Date.now() - mtimeMs > ABANDONED_MS) await rm(join(dir, name), { force: true });
  }
}

export async function sha256Of(path: string, ctx: Context): Promise<string> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks) => {
    for await (const chunk of chunks) {
      ctx.signal.throwIfAborted();
      hash.update(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      ctx.beat({ bytes });
    }
  });
  return hash.digest('hex');
}

async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
