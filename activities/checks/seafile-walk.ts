import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { rows } from '../tools/sqlite.js';
import { lineWriter, sortUnique, unseen } from './seafile-lines.js';
import {
  type Commit,
  EMPTY,
  isLibraryId,
  isObjectId,
  type Kind,
  objectPath,
  type Read,
  readCommit,
  readFs,
} from './seafile-objects.js';

/** An object that a head leads to. `library` is whose store it lies in: a virtual library's fs and blocks are its origin's. */
export interface Reached {
  kind: Kind;
  library: string;
  id: string;
  path: string;
  /** What is wrong with it. Blocks are not looked at by the walk. */
  problem?: string | undefined;
}

export interface Walk {
  /** What `gatherRows` made. */
  rows: string;
  storage: string;
  scratch: string;
  /** Set: the states before the head too, as far back as garbage collection keeps them at this instant. */
  historyAsOf?: string;
}

interface Head {
  library: string;
  commit: string;
  store: string;
  /** Seconds since 1970 of the last collection's limit; days of the library's own; -1 where it has none. */
  since: number;
  days: number;
}

/** A deleted library waits in the trash with its head, and comes back from there; what was left of its history is not on record. */
const HEADS = `SELECT json_object('library', b.repo_id, 'commit', b.commit_id, 'store', coalesce(v.origin_repo, b.repo_id),
  'since', CAST(coalesce(s.timestamp, -1) AS INTEGER), 'days', CAST(coalesce(h.days, -1) AS INTEGER))
  FROM Branch b JOIN Repo r ON r.repo_id = b.repo_id LEFT JOIN VirtualRepo v ON v.repo_id = b.repo_id
  LEFT JOIN RepoValidSince s ON s.repo_id = b.repo_id LEFT JOIN RepoHistoryLimit h ON h.repo_id = b.repo_id
  UNION ALL SELECT json_object('library', repo_id, 'commit', head_id, 'store', repo_id, 'since', -1, 'days', 0)
  FROM RepoTrash WHERE head_id <> ''`;

/** How many fs objects are read side by side. */
const AT_ONCE = 32;

/**
 * All objects that the branches lead to, each once: commits library by library, then fs objects level by level of all
 * trees together, then blocks. What was seen is kept in sorted files, so that memory stays flat with millions of objects.
 */
export async function* walkLibraries(walk: Walk, ctx: Context): AsyncGenerator<Reached> {
  const { storage, scratch } = walk;
  const file = (name: string) => join(scratch, name);
  const [seen, blocks] = [file('seen'), file('blocks')];
  await writeFile(seen, '');
  let frontier = file('level-0');
  const roots = lineWriter(frontier);
  for await (const head of rows<Head>(walk.rows, HEADS, 'frozen', ctx)) {
    for await (const { id, read } of commitsOf(head, walk)) {
      ctx.beat();
      yield {
        kind: 'commits',
        library: head.library,
        id,
        path: pathOf(storage, head.library, id),
        problem: read.problem,
      };
      if (read.is && read.is.root !== EMPTY) await roots.put(`${head.store}/${read.is.root}`);
    }
  }
  await roots.end();
  const pieces = lineWriter(blocks);
  for (let level = 1; (await stat(frontier)).size > 0; level++) {
    await sortUnique(frontier, scratch, ctx);
    const fresh = await unseen(frontier, seen, scratch, ctx);
    frontier = file(`level-${level % 2}`);
    const next = lineWriter(frontier);
    for await (const batch of batches(readLines(fresh), AT_ONCE)) {
      for (const { store, id, path, read } of await Promise.all(batch.map((line) => fsAt(line, storage)))) {
        yield { kind: 'fs', library: store, id, path, problem: read.problem };
        for (const entry of read.is?.entries ?? []) await next.put(`${store}/${entry}`);
        for (const block of read.is?.blocks ?? []) await pieces.put(`${store}/${block}`);
      }
      ctx.beat();
    }
    await next.end();
  }
  await pieces.end();
  await sortUnique(blocks, scratch, ctx);
  for await (const line of readLines(blocks)) {
    const [store = '', id = ''] = line.split('/');
    yield { kind: 'blocks', library: store, id, path: objectPath(storage, 'blocks', store, id) };
  }
}

const pathOf = (storage: string, library: string, id: string) =>
  objectPath(storage, 'commits', isLibraryId(library) ? library : 'no-library', isObjectId(id) ? id : EMPTY);

/**
 * The head's commit, and those before it that the library still keeps. Garbage collection may have taken what lies
 * before its limit (`RepoValidSince`, `RepoHistoryLimit`), so nothing there is asked for.
 */
async function* commitsOf(
  head: Head,
  { storage, historyAsOf }: Walk,
): AsyncGenerator<{ id: string; read: Read<Commit> }> {
  const { library, commit, days, since } = head;
  const now = historyAsOf === undefined ? 0 : Date.parse(historyAsOf) / 1000;
  const limit = Math.max(since, days >= 0 ? now - days * 86_400 : -1);
  const known = new Set([commit]);
  const open = [commit];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const valid = isLibraryId(library) && isLibraryId(head.store) && isObjectId(id);
    const read: Read<Commit> = valid
      ? await readCommit(pathOf(storage, library, id), library, id)
      : { problem: 'is no commit of a library' };
    if (id !== commit && read.is && read.is.ctime < limit) continue;
    yield { id, read };
    if (historyAsOf === undefined || days === 0 || !read.is || read.is.ctime < limit) continue;
    for (const parent of read.is.parents) {
      if (known.has(parent)) continue;
      known.add(parent);
      open.push(parent);
    }
  }
}

async function fsAt(line: string, storage: string) {
  const [store = '', id = ''] = line.split('/');
  const path = objectPath(storage, 'fs', store, id);
  return { store, id, path, read: await readFs(path, id) };
}

async function* batches<T>(items: AsyncIterable<T>, size: number): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
