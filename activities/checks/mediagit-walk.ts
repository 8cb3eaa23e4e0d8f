import type { Context } from '../contracts.js';
import { type Kind, parseCommit, parseManifest, parseTree, type TreeEntry } from './mediagit-format.js';
import { hashes, type ObjectStore, type Stored } from './mediagit-store.js';

/** One object that the walk came to. `of` says by which way, for people: `refs/heads/main: shots/a.bin`. */
export interface Reached {
  kind: Kind;
  id: string;
  /** Where it lies, or would by rights. */
  path: string;
  of: string;
  state: 'there' | 'missing' | 'damaged';
}

interface Wanted {
  id: string;
  of: string;
}

type First = (wanted: Wanted, kind?: 'chunk') => boolean;

const COMMITS_AT_ONCE = 100;

/**
 * Everything that the roots lead to, each once (but the bases of deltas): commits, trees, files, their manifests and chunks, and the bases of deltas.
 * Commits and trees are held against their hashes, because what a damaged one names is not known; of the others only their
 * existence is looked at. Needs about a hundred bytes per object.
 */
export async function* reach(store: ObjectStore, roots: Wanted[], ctx: Context): AsyncGenerator<Reached> {
  const seen = new Set<string>();
  // A file of one chunk has the chunk's name.
  const first: First = ({ id }, kind) => {
    const key = (kind ?? '') + Buffer.from(id, 'hex').toString('latin1');
    return !seen.has(key) && seen.add(key) !== undefined;
  };
  let commits = roots.filter((root) => first(root));
  while (commits.length > 0) {
    const now = commits.splice(0, COMMITS_AT_ONCE);
    const trees: Wanted[] = [];
    for await (const { data, of, ...reached } of described(store, now, ctx)) {
      yield { ...reached, of };
      const parsed = data && attempt(() => parseCommit(data));
      if (!parsed) continue;
      const tree = { id: parsed.tree, of };
      if (first(tree)) trees.push(tree);
      commits = commits.concat(parsed.parents.map((id) => ({ id, of })).filter((parent) => first(parent)));
    }
    for await (const { data, of, ...reached } of described(store, trees, ctx)) {
      yield { ...reached, of };
      const entries = (data && attempt(() => parseTree(data))) ?? [];
      for (const entry of entries) yield* file(store, entry, of, first, ctx);
    }
  }
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

/** Commits or trees with their content, as far as it is what their names say. */
async function* described(
  store: ObjectStore,
  wanted: Wanted[],
  ctx: Context,
): AsyncGenerator<Reached & { data?: Buffer }> {
  const ways = new Map(wanted.map(({ id, of }) => [id, of]));
  const whole: Stored[] = [];
  for (const { id } of wanted) {
    const of = ways.get(id) ?? '';
    const { path, there } = await store.find('object', id);
    if (there) whole.push({ path, kind: 'object', id });
    else if (!(await store.find('delta', id)).there) yield { kind: 'object', id, path, of, state: 'missing' };
    else {
      yield* chain(store, 'object', id, of);
      const data = await store.content('object', id, ctx).catch(() => undefined);
      yield { kind: 'object', id, path: (await store.find('delta', id)).path, of, ...judged(data && { data }) };
    }
  }
  for await (const { hash, data, ...stored } of hashes(whole, true, ctx))
    yield { ...stored, of: ways.get(stored.id) ?? '', ...judged(hash === stored.id && data ? { data } : undefined) };
}

function judged(good: { data: Buffer } | undefined): { state: 'there'; data: Buffer } | { state: 'damaged' } {
  return good ? { state: 'there', ...good } : { state: 'damaged' };
}

/** A file of a tree: an object, a delta, or a manifest with its chunks. */
async function* file(
  store: ObjectStore,
  { id, path: name, mode }: TreeEntry,
  way: string,
  first: First,
  ctx: Context,
): AsyncGenerator<Reached> {
  const of = `${way}: ${name}`;
  if (mode === 3 || !first({ id, of })) return;
  ctx.beat();
  const manifest = await store.find('manifest', id);
  if (!manifest.there) {
    yield* chain(store, 'object', id, of);
    return;
  }
  for await (const { data, ...stored } of hashes([{ path: manifest.path, kind: 'manifest', id }], true, ctx)) {
    const parsed = data && attempt(() => parseManifest(data));
    yield { kind: 'manifest', id, path: stored.path, of, state: parsed ? 'there' : 'damaged' };
    for (const chunk of parsed?.chunks ?? [])
      if (first({ id: chunk.id, of }, 'chunk')) yield* chain(store, 'chunk', chunk.id, of);
  }
}

/** An object or chunk as it lies: whole, or a delta with all its bases. */
async function* chain(store: ObjectStore, kind: 'object' | 'chunk', id: string, of: string): AsyncGenerator<Reached> {
  const asDelta = kind === 'chunk' ? 'chunk-delta' : 'delta';
  const passed = new Set<string>();
  for (let at: string | undefined = id; at !== undefined; ) {
    const whole = await store.find(kind, at);
    const delta = whole.there ? undefined : await store.find(asDelta, at);
    if (!delta?.there || passed.has(at)) {
      yield { kind, id: at, path: whole.path, of, state: whole.there ? 'there' : 'missing' };
      return;
    }
    passed.add(at);
    const base: string | undefined = await store.base(asDelta, at);
    yield { kind: asDelta, id: at, path: delta.path, of, state: base ? 'there' : 'damaged' };
    if (base) yield { kind: asDelta, id: at, path: `${delta.path}.meta`, of, state: 'there' };
    at = base;
  }
}
