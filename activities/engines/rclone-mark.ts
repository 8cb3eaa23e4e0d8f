import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { Snapshot } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { pathIn, rclone } from './rclone-remote.js';

/** The end mark of a snapshot, `sites/<siteId>/<id>.json`: written last, removed first. Its list and attributes lie beside it. */
const Mark = z.object({
  schema: z.literal(1),
  /** SHA-256 of `<id>.list.gz` and `<id>.xattr.gz` as they lie. */
  list: z.string(),
  xattr: z.string(),
  files: z.int(),
  bytes: z.int(),
  host: z.string(),
  site: z.string(),
  snapshot: Snapshot.omit({ repository: true }),
});
export type Mark = z.infer<typeof Mark>;

export const SITES = 'sites';
export const PENDING = 'pending';
/** An id is a file name of ours: nothing else may reach a path. */
export const SAFE = /^[A-Za-z0-9][\w.-]*$/;

/** All marks of one site, or of all, oldest first. */
export async function marksOf(
  repo: RepositorySpec,
  siteId: string | undefined,
  dir: string,
  ctx: Context,
): Promise<Mark[]> {
  const target = join(dir, 'marks');
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  const from = pathIn(repo, siteId === undefined ? SITES : `${SITES}/${siteId}`, ctx);
  const { exitCode } = await rclone(repo, ['copy', from, target, '--include', '*.json'], { ok: [0, 3] }, ctx);
  const marks: Mark[] = [];
  for (const entry of await readdir(target, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const mark = Mark.safeParse(json(await readFile(join(entry.parentPath, entry.name), 'utf8'))).data;
    if (!mark || `${mark.snapshot.id}.json` !== entry.name)
      throw ctx.fail('RepositoryDamaged', `an end mark in ${repo.name} cannot be read`, {
        details: { places: [entry.name] },
      });
    marks.push(mark);
  }
  // 3 is right where there is none; else a directory went while it was read, and marks may lack: what they need must not be taken for unneeded.
  if (exitCode === 3 && marks.length > 0)
    throw ctx.fail('RepositoryUnreachable', `the snapshots of ${repo.name} could not all be read`);
  return marks.sort((a, b) => a.snapshot.storedAt.localeCompare(b.snapshot.storedAt));
}

export async function findMark(repo: RepositorySpec, id: string, dir: string, ctx: Context): Promise<Mark> {
  const found = (await marksOf(repo, undefined, dir, ctx)).find(({ snapshot }) => snapshot.id === id);
  if (found) return found;
  throw ctx.fail('SnapshotMissing', `repository ${repo.name} has no such snapshot`);
}

/** Brings a snapshot's list and attributes to `dir`; what is not as it was stored is damage. */
export async function fetchList(
  repo: RepositorySpec,
  { snapshot: { siteId, id }, list, xattr }: Mark,
  dir: string,
  ctx: Context,
): Promise<{ list: string; xattr: string }> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const from = pathIn(repo, `${SITES}/${siteId}`, ctx);
  await rclone(repo, ['copy', from, dir, '--ignore-times', '--include', `${id}.{list,xattr}.gz`], {}, ctx);
  const files = { list: join(dir, `${id}.list.gz`), xattr: join(dir, `${id}.xattr.gz`) };
  for (const [file, sum] of [
    [files.list, list],
    [files.xattr, xattr],
  ] as const)
    if ((await sha256Of(file).catch(() => undefined)) !== sum)
      throw ctx.fail('RepositoryDamaged', `the list of a snapshot in ${repo.name} is damaged`, {
        details: { places: [id] },
      });
  return files;
}

export async function put(repo: RepositorySpec, name: string, file: string, ctx: Context): Promise<void> {
  await rclone(repo, ['copyto', file, pathIn(repo, name, ctx), '--ignore-times'], {}, ctx);
}

export async function putText(
  repo: RepositorySpec,
  name: string,
  text: string,
  dir: string,
  ctx: Context,
): Promise<void> {
  const file = join(dir, 'put.tmp');
  await writeFile(file, text, { mode: 0o600 });
  await put(repo, name, file, ctx);
  await rm(file);
}

/** Removes objects by name; what is not there is fine. */
export async function removeFiles(repo: RepositorySpec, names: readonly string[], ctx: Context): Promise<void> {
  for (const name of names) {
    const { exitCode, stderrTail } = await rclone(
      repo,
      ['deletefile', pathIn(repo, name, ctx)],
      { ok: [0, 1, 3, 4] },
      ctx,
    );
    if (exitCode !== 0 && !/not found|doesn't exist/.test(stderrTail))
      throw ctx.fail('ToolFailed', `rclone could not remove an object of repository ${repo.name}`, {
        details: { tool: 'rclone', exitCode, stderrTail },
      });
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
