import { createHash } from 'node:crypto';
import type { Context, Restored } from '../contracts.js';
import { type Kind, parseManifest } from './mediagit-format.js';
import { type Ref, readRefs, remembered } from './mediagit-refs.js';
import { decode, hashes, type ObjectStore, read, type Stored } from './mediagit-store.js';
import { reach } from './mediagit-walk.js';

/** What the verification says of one object; each is told at most once as bad. */
export interface Finding {
  kind: Kind;
  id: string;
  path: string;
  state: 'good' | 'there' | 'damaged' | 'missing';
  /** By which way it is needed, where that is known. */
  of?: string;
}

export interface Verified {
  refs: Ref[];
  /** Of what the reflog and stashes remember. */
  remembered: { there: number; gone: number };
  /** Loose objects, chunks, manifests and deltas whose hash was made, and files that only had to be there. */
  hashed: Record<Kind, number>;
  present: number;
  reached: number;
  packs: number;
  /** By which way the bad ones are needed. */
  ways: Map<string, string>;
}

/**
 * Our own verification of a whole repository: every object is decoded and hashed (chunks and what is made of them by `part`),
 * and all that branches, tags and HEAD lead to must be there. MediaGit's own fsck looks at neither chunks nor manifests nor refs.
 */
export async function verifyRepository(
  { git, store }: { git: string; store: ObjectStore },
  part: Restored['part'],
  say: (finding: Finding) => void,
  ctx: Context,
): Promise<Verified> {
  const bad = new Set<string>();
  const ways = new Map<string, string>();
  const hashed: Verified['hashed'] = { object: 0, manifest: 0, chunk: 0, delta: 0, 'chunk-delta': 0 };
  let present = 0;
  const tell = (finding: Finding) => {
    if (finding.state === 'damaged' || finding.state === 'missing') {
      const key = keyOf(finding);
      if (bad.has(key)) return;
      bad.add(key);
    } else if (finding.state === 'good') hashed[finding.kind]++;
    else present++;
    say(finding);
  };
  for await (const { hash, ...stored } of hashes(store.files(['object']), false, ctx))
    tell({ ...stored, state: hash === stored.id ? 'good' : 'damaged' });
  const done = new Set<string>();
  for await (const stored of store.files(['manifest']))
    if (inPart(stored.id, part)) await manifest(store, stored, done, tell, ctx);
    else tell({ ...stored, state: 'there' });
  for await (const { hash, ...stored } of hashes(chunks(store, part, done, tell), false, ctx))
    tell({ ...stored, state: hash === stored.id ? 'good' : 'damaged' });
  for await (const stored of store.files(['delta', 'chunk-delta'])) {
    const of = stored.kind === 'delta' ? 'object' : 'chunk';
    if (!inPart(stored.id, part)) tell({ ...stored, state: 'there' });
    else if ((await made(store, of, stored.id, ctx)) === stored.id) tell({ ...stored, state: 'good' });
    else tell(await culprit(store, of, stored, ctx));
  }
  const refs = await brokenBy(store, await readRefs(git));
  let reached = 0;
  const roots = refs.flatMap(({ name, id, broken }) => (id && !broken ? [{ id, of: name }] : []));
  for await (const { state, ...found } of reach(store, roots, ctx)) {
    reached++;
    if (state !== 'there') tell({ ...found, state });
    if (bad.has(keyOf(found)) && !ways.has(found.id)) ways.set(found.id, found.of);
  }
  return { refs, remembered: await count(store, git), hashed, present, reached, packs: await store.packs(), ways };
}

/** What lacks as a delta lacks as the object that it is. */
function keyOf({ kind, id }: Pick<Finding, 'kind' | 'id'>): string {
  return `${kind === 'chunk' || kind === 'chunk-delta' ? 'chunk' : kind === 'manifest' ? kind : 'object'} ${id}`;
}

/** A ref to an id that nobody has is a broken ref, not a lost object. */
async function brokenBy(store: ObjectStore, refs: Ref[]): Promise<Ref[]> {
  return Promise.all(
    refs.map(async (ref) => {
      if (!ref.id || (await exists(store, ref.id))) return ref;
      return { ...ref, broken: `leads to the unknown commit ${ref.id}` };
    }),
  );
}

async function exists(store: ObjectStore, id: string): Promise<boolean> {
  return (await store.find('object', id)).there || (await store.find('delta', id)).there;
}

async function count(store: ObjectStore, git: string): Promise<Verified['remembered']> {
  const found = { there: 0, gone: 0 };
  for (const id of await remembered(git)) found[(await exists(store, id)) ? 'there' : 'gone']++;
  return found;
}

/** Chunks of this part that no manifest has led to yet. */
async function* chunks(
  store: ObjectStore,
  part: Restored['part'],
  done: Set<string>,
  tell: (finding: Finding) => void,
): AsyncGenerator<Stored> {
  for await (const stored of store.files(['chunk']))
    if (!done.has(stored.id)) {
      if (inPart(stored.id, part)) yield stored;
      else tell({ ...stored, state: 'there' });
    }
}

/** The chunks of a manifest, one after the other, are the file that it is named by. Each chunk's own hash is made on the way. */
async function manifest(
  store: ObjectStore,
  stored: Stored,
  done: Set<string>,
  tell: (finding: Finding) => void,
  ctx: Context,
): Promise<void> {
  const file = createHash('sha256');
  let [bytes, whole] = [0, true];
  let parsed: ReturnType<typeof parseManifest>;
  try {
    parsed = parseManifest(await read(stored, ctx));
  } catch {
    ctx.signal.throwIfAborted();
    tell({ ...stored, state: 'damaged' });
    return;
  }
  for (const { id } of parsed.chunks) {
    const found = await store.find('chunk', id);
    const chunk = createHash('sha256');
    const sink = (piece: Buffer) => {
      file.update(piece);
      chunk.update(piece);
      bytes += piece.length;
    };
    try {
      if (found.there) await decode({ path: found.path, kind: 'chunk' }, sink, ctx);
      else sink(await store.content('chunk', id, ctx));
    } catch (error) {
      ctx.signal.throwIfAborted();
      if ((error as { type?: string }).type !== undefined) throw error;
      whole = false;
    }
    const good = chunk.digest('hex') === id;
    whole &&= good;
    if (found.there && !done.has(id)) {
      done.add(id);
      tell({ path: found.path, kind: 'chunk', id, state: good ? 'good' : 'damaged' });
    }
  }
  // Where a chunk is bad, nothing can be said of the manifest: it is the chunk that is told.
  if (!whole) tell({ ...stored, state: 'there' });
  else tell({ ...stored, state: file.digest('hex') === stored.id && bytes === parsed.size ? 'good' : 'damaged' });
}

/** What makes a delta come out wrong: itself, or one of its bases. */
async function culprit(store: ObjectStore, kind: 'object' | 'chunk', delta: Stored, ctx: Context): Promise<Finding> {
  const passed = new Set<string>();
  for (let at = delta; !passed.has(at.id); ) {
    passed.add(at.id);
    const base = await store.base(delta.kind === 'delta' ? 'delta' : 'chunk-delta', at.id);
    if (base === undefined || (await made(store, kind, base, ctx)) === base) return { ...at, state: 'damaged' };
    const whole = await store.find(kind, base);
    if (whole.there) return { kind, id: base, path: whole.path, state: 'damaged' };
    const next = await store.find(delta.kind, base);
    if (!next.there) return { kind, id: base, path: whole.path, state: 'missing' };
    at = { kind: delta.kind, id: base, path: next.path };
  }
  return { ...delta, state: 'damaged' };
}

async function made(store: ObjectStore, kind: 'object' | 'chunk', id: string, ctx: Context): Promise<string> {
  try {
    return createHash('sha256')
      .update(await store.content(kind, id, ctx))
      .digest('hex');
  } catch (error) {
    ctx.signal.throwIfAborted();
    if ((error as { type?: string }).type !== undefined) throw error;
    return '';
  }
}

/** Which share an object is in depends on its name alone: as many runs as there are shares read all. */
function inPart(id: string, { n, of }: Restored['part']): boolean {
  return Number.parseInt(id.slice(0, 8), 16) % of === n % of;
}
