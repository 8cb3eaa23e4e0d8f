import { opendir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readLines } from '../capture/lines.js';
import { parseRef, parseReflog } from './mediagit-format.js';

/** A ref as it lies on disk: `refs/heads/main`, `HEAD`; `id` is missing where it leads nowhere. */
export interface Ref {
  name: string;
  id?: string;
  /** Why it is broken by itself, whatever the objects say. */
  broken?: string;
}

/** Branches, tags and HEAD: what they lead to must be there. Refs of a clone's remotes are no part: their objects may never have been fetched. */
export async function readRefs(git: string): Promise<Ref[]> {
  const refs: Ref[] = [];
  for (const kind of ['heads', 'tags'])
    for await (const name of names(git, `refs/${kind}`)) {
      if (name.endsWith('.meta')) continue;
      const { id, to } = parseRef(await readFile(join(git, name), 'utf8'));
      refs.push(id ? { name, id } : { name, broken: to ? 'points to another ref' : 'holds no id' });
      const meta = await readFile(join(git, `${name}.meta`), 'utf8').catch(() => undefined);
      if (meta !== undefined && id && commitOf(meta) !== id)
        refs.push({ name: `${name}.meta`, broken: 'speaks of another commit' });
    }
  refs.sort((a, b) => (a.name < b.name ? -1 : 1));
  return [...refs, ...(await readHead(git, refs))];
}

async function readHead(git: string, refs: Ref[]): Promise<Ref[]> {
  const text = await readFile(join(git, 'HEAD'), 'utf8').catch(() => undefined);
  if (text === undefined) return [{ name: 'HEAD', broken: 'is missing' }];
  const { id, to } = parseRef(text);
  if (id) return [{ name: 'HEAD', id }];
  if (to === undefined) return [{ name: 'HEAD', broken: 'holds no ref' }];
  if (refs.some(({ name }) => name === to)) return [];
  // Before its first commit a repository has no branch.
  const unborn = !refs.some(({ name }) => name.startsWith('refs/heads/'));
  return unborn ? [] : [{ name: 'HEAD', broken: `leads to ${to}, which does not exist` }];
}

function commitOf(meta: string): unknown {
  try {
    return (JSON.parse(meta) as { commit_oid?: unknown }).commit_oid;
  } catch {
    return undefined;
  }
}

/** Files below a directory, relative to `git`; none where it is missing. */
async function* names(git: string, below: string): AsyncGenerator<string> {
  for await (const entry of (await opendir(join(git, below)).catch(() => undefined)) ?? []) {
    const name = `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* names(git, name);
    else if (entry.isFile()) yield name;
  }
}

/** Commits that only the reflog or a stash may remember: gc may have removed them rightly. */
export async function remembered(git: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const name of names(git, 'logs'))
    for await (const line of readLines(join(git, name))) {
      const id = parseReflog(line);
      if (id) ids.add(id);
    }
  const stashes = await readFile(join(git, 'STASH_LIST'), 'utf8').catch(() => '');
  for (const [id] of stashes.matchAll(/\b[0-9a-f]{64}\b/g)) ids.add(id);
  return ids;
}
