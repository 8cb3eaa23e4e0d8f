import { z } from 'zod';
import { isFailure } from '../../src/core/failures.js';
import { Snapshot } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import type { Store, StoredObject } from './ubackup-store.js';

/** One object as it was written. */
const Sealed = z.object({ name: z.string(), sha256: z.string().regex(/^[0-9a-f]{64}$/), bytes: z.int() });
export type Sealed = z.infer<typeof Sealed>;

/**
 * The mark of a snapshot, `holdfast/<siteId>/<id>.json` on one line: written last and removed first, so a snapshot exists
 * exactly while its mark does. It is outside of the service's prefix, where µbackup's own listing would stumble over it.
 */
export const Mark = z.object({
  schema: z.literal(1),
  complete: z.literal(true),
  /** The export, as µbackup's own tools read it. */
  object: Sealed,
  /** Everything else of the capture (manifest, lists, small files): a tar, in the same format. */
  rest: Sealed,
  /** What the export is as a file. */
  file: z.object({ path: z.string(), bytes: z.int(), mode: z.int(), mtimeMs: z.number(), uid: z.int(), gid: z.int() }),
  sourceBytes: z.int(),
  sourceFiles: z.int(),
  host: z.string(),
  site: z.string(),
  snapshot: Snapshot.omit({ repository: true }),
});
export type Mark = z.infer<typeof Mark>;

export const OURS = 'holdfast';
export const SAFE = /^[A-Za-z0-9][\w.-]*$/;

export const markName = (siteId: string, id: string): string => `${OURS}/${siteId}/${id}.json`;
export const restName = (siteId: string, id: string): string => `${OURS}/${siteId}/${id}.tar.gz.aes`;

export interface Kept {
  mark: Mark;
  /** Both objects are there and as long as the mark says. */
  whole: boolean;
}

/** Snapshots of one site or of all, oldest first. A mark that cannot be read is damage, not absence. */
export async function marksOf(
  repo: RepositorySpec,
  store: Store,
  siteId: string | undefined,
  ctx: Context,
): Promise<Kept[]> {
  // One that another run removed between the two looks is gone at the second.
  return marksNow(repo, store, siteId, ctx).catch((error) => {
    if (!isFailure(error, 'RepositoryDamaged')) throw error;
    return marksNow(repo, store, siteId, ctx);
  });
}

async function marksNow(repo: RepositorySpec, store: Store, siteId: string | undefined, ctx: Context): Promise<Kept[]> {
  const prefix = siteId === undefined ? `${OURS}/` : `${OURS}/${siteId}/`;
  const objects = new Map((await store.list(ctx)).map((object) => [object.name, object]));
  const names = [...objects.keys()].filter((name) => name.startsWith(prefix) && name.endsWith('.json'));
  if (names.length === 0) return [];
  const texts = await store.texts(prefix, ctx);
  const marks = texts.flatMap((text) => Mark.safeParse(json(text)).data ?? []);
  const found = new Map(marks.map((mark) => [markName(mark.snapshot.siteId, mark.snapshot.id), mark]));
  const lost = names.filter((name) => !found.has(name));
  if (lost.length > 0)
    throw ctx.fail('RepositoryDamaged', `an end mark in ${repo.name} cannot be read`, { details: { places: lost } });
  return names
    .flatMap((name) => found.get(name) ?? [])
    .map((mark) => ({ mark, whole: [mark.object, mark.rest].every((each) => isThere(each, objects)) }))
    .sort((a, b) => a.mark.snapshot.storedAt.localeCompare(b.mark.snapshot.storedAt));
}

function isThere({ name, bytes }: Sealed, objects: Map<string, StoredObject>): boolean {
  return objects.get(name)?.bytes === bytes;
}

export async function findMark(repo: RepositorySpec, store: Store, id: string, ctx: Context): Promise<Mark> {
  const found = (await marksOf(repo, store, undefined, ctx)).find(({ mark }) => mark.snapshot.id === id);
  if (found) return found.mark;
  throw ctx.fail('SnapshotMissing', `repository ${repo.name} has no such snapshot`);
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
