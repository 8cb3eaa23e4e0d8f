import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { FileLine, type FileSetEntry, type Manifest } from '../../src/core/manifest.js';
import type { Context, ListedFile } from '../contracts.js';
import { FILES } from './layout.js';
import { readLines, sortFile, writeLines } from './lines.js';

/** One entry of a live set that is not as the list says: `want` and `have` are kind and size, tab-separated; nothing there is undefined. */
export interface LiveDifference {
  set: string;
  path: string;
  want: string;
  have?: string;
}

/** What a listing shows against a manifest. `places` are paths, at most 20 of each. */
export interface Differences {
  /** In the manifest, not in the snapshot. */
  missing: number;
  /** Of another kind or size than the manifest says. */
  changed: number;
  missingPaths: string[];
  changedPaths: string[];
  compared: number;
  /** Entries per live set, where they were told apart. */
  live: Record<string, number>;
}

/**
 * Compares what a snapshot holds with its manifest: each listed file is there, of its kind and size. Both sides are
 * sorted on disk and read side by side, so memory stays flat at millions of files. `staging` holds the lists. Differences of live
 * sets go to `live` in the order of their paths, where it is given, and are not counted.
 */
export async function compare(
  manifest: Manifest,
  staging: string,
  contents: AsyncIterable<ListedFile>,
  workDir: string,
  ctx: Context,
  live?: (difference: LiveDifference) => Promise<void>,
): Promise<Differences> {
  await keepListing(contents, workDir, ctx);
  return compareKept(manifest, staging, workDir, ctx, live);
}

const HAVE = 'have.txt';

/** Keeps what a snapshot holds in `workDir`, sorted, for `compareKept`. */
export async function keepListing(contents: AsyncIterable<ListedFile>, workDir: string, ctx: Context): Promise<void> {
  const have = join(workDir, HAVE);
  await writeLines(have, listed(contents, ctx));
  await sortFile(have, ctx);
}

/** As `compare`, with the listing that was kept in `workDir`. */
export async function compareKept(
  manifest: Manifest,
  staging: string,
  workDir: string,
  ctx: Context,
  live?: (difference: LiveDifference) => Promise<void>,
): Promise<Differences> {
  const have = join(workDir, HAVE);
  const want = join(workDir, 'want.txt');
  await writeLines(want, wanted(manifest, staging, live !== undefined));
  await sortFile(want, ctx);
  return join2(readLines(want), readLines(have), live);
}

async function* listed(contents: AsyncIterable<ListedFile>, ctx: Context): AsyncGenerator<string> {
  let count = 0;
  for await (const file of contents) {
    if (++count % 1000 === 0) ctx.beat({ files: count });
    yield line(file.path, file.type, file.type === 'f' ? file.size : 0);
  }
}

/** A line of a live set ends with this and the set's name. */
const LIVE = '\tlive ';

async function* wanted(manifest: Manifest, staging: string, marked = false): AsyncGenerator<string> {
  for (const database of manifest.databases)
    for (const { file, bytes } of [database, ...(database.also ?? [])])
      yield line(join(manifest.staging, file), 'f', bytes);
  for (const set of manifest.fileSets) {
    const root = rootInSnapshot(manifest, set);
    for await (const text of readLines(join(staging, set.list))) {
      const entry = FileLine.parse(JSON.parse(text));
      yield line(join(root, entry.p), entry.t, entry.s) + (marked && set.live ? LIVE + set.name : '');
    }
  }
}

/** Where a set's files lie in a snapshot, absolute. */
export function rootInSnapshot(manifest: Manifest, set: FileSetEntry): string {
  return set.where === 'staged' ? join(manifest.staging, FILES, set.name) : set.root;
}

/** The path comes first and ends with a tab, which JSON never holds in the clear: lines of one path stand together. */
function line(path: string, type: string, size: number): string {
  return `${JSON.stringify(path)}\t${type}\t${size}`;
}

const PLACES = 20;

async function join2(
  want: AsyncIterator<string>,
  have: AsyncIterator<string>,
  live: ((difference: LiveDifference) => Promise<void>) | undefined,
): Promise<Differences> {
  const found: Differences = { missing: 0, changed: 0, missingPaths: [], changedPaths: [], compared: 0, live: {} };
  let right = await have.next();
  for (let left = await want.next(); !left.done; left = await want.next()) {
    const key = keyOf(left.value);
    while (!right.done && before(keyOf(right.value), key)) right = await have.next();
    found.compared++;
    const there = right.done || keyOf(right.value) !== key ? undefined : right.value;
    const [value = '', set] = left.value.split(LIVE);
    if (live && set !== undefined) {
      found.live[set] = (found.live[set] ?? 0) + 1;
      const have = there === undefined ? {} : { have: there.slice(key.length + 1) };
      if (there !== value)
        await live({ set, path: JSON.parse(key) as string, want: value.slice(key.length + 1), ...have });
    } else if (there === undefined) {
      found.missing++;
      if (found.missingPaths.length < PLACES) found.missingPaths.push(JSON.parse(key) as string);
    } else if (there !== left.value) {
      found.changed++;
      if (found.changedPaths.length < PLACES) found.changedPaths.push(JSON.parse(key) as string);
    }
  }
  return found;
}

function keyOf(text: string): string {
  return text.slice(0, text.indexOf('\t'));
}

/** Bytewise, as `LC_ALL=C sort` has it; with the tab that follows each path. */
function before(a: string, b: string): boolean {
  return Buffer.compare(Buffer.from(`${a}\t`), Buffer.from(`${b}\t`)) < 0;
}

/** Compares a restored tree with the lists: `relocate` maps a path of the snapshot into it. */
export async function* listRestored(
  manifest: Manifest,
  staging: string,
  relocate: (path: string) => string,
): AsyncGenerator<ListedFile> {
  for await (const text of wanted(manifest, staging)) {
    const path = JSON.parse(keyOf(text)) as string;
    const stats = await lstat(relocate(path)).catch(() => undefined);
    if (!stats) continue;
    const type = stats.isFile() ? 'f' : stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : 'o';
    yield { path, type, size: stats.size, mtimeMs: stats.mtimeMs };
  }
}
