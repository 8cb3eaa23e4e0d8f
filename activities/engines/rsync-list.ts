import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { Context } from '../contracts.js';
import { codeOf } from './location.js';

/** One entry of a tree, as its list tells it; a line is `path ⇥ type ⇥ size ⇥ mtime ⇥ inode ⇥ SHA-256`. */
export interface Entry {
  path: Buffer;
  type: 'f' | 'd' | 'l' | 'o';
  size: number;
  /** Whole milliseconds. */
  mtimeMs: number;
  /** Which files are one and the same: also those of two trees. */
  inode: string;
  /** Of files only. */
  sha256?: string;
}

/** A path as text that holds no tab and no line's end; names need not be UTF-8. */
export function keyOf(path: Buffer): string {
  const text = path.toString('utf8');
  return Buffer.from(text).equals(path) ? JSON.stringify(text) : `=${path.toString('base64')}`;
}

export function pathOf(key: string): Buffer {
  return key.startsWith('=') ? Buffer.from(key.slice(1), 'base64') : Buffer.from(JSON.parse(key) as string);
}

export function lineOf({ path, type, size, mtimeMs, inode, sha256 }: Entry): string {
  return [keyOf(path), type, size, mtimeMs, inode, sha256 ?? '-'].join('\t');
}

export function entryOf(line: string): Entry {
  const [key = '', type, size, mtimeMs, inode = '', sha256] = line.split('\t');
  return {
    ...{ path: pathOf(key), type: type as Entry['type'], size: Number(size), mtimeMs: Number(mtimeMs), inode },
    ...(sha256 && sha256 !== '-' ? { sha256 } : {}),
  };
}

/** Whether one line's path comes before another's, as `LC_ALL=C sort` has it. */
export function before(a: string, b: string): boolean {
  const key = (line: string) => Buffer.from(line.slice(0, line.indexOf('\t') + 1));
  return Buffer.compare(key(a), key(b)) < 0;
}

export const samePath = (a: string, b: string): boolean =>
  a.slice(0, a.indexOf('\t') + 1) === b.slice(0, b.indexOf('\t') + 1);

/** What lies at an absolute path of a tree; undefined where nothing does. */
export async function look(tree: string, path: Buffer): Promise<Entry | undefined> {
  const stats = await lstat(inTree(tree, path), { bigint: true }).catch((error) => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  });
  if (!stats) return undefined;
  const type = stats.isFile() ? 'f' : stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : 'o';
  const size = type === 'f' ? Number(stats.size) : 0;
  return { path, type, size, mtimeMs: Number(stats.mtimeNs / 1_000_000n), inode: String(stats.ino) };
}

export function inTree(tree: string, path: Buffer): Buffer {
  return Buffer.concat([Buffer.from(tree), path]);
}

/** A stream costs more than reading a small file does. */
const SMALL = 1 << 20;

/** SHA-256 of a file; `size` as far as it is known. */
export async function hashOf(
  tree: string,
  path: Buffer,
  ctx: Context,
  size = Number.POSITIVE_INFINITY,
): Promise<string> {
  ctx.beat();
  if (size <= SMALL)
    return createHash('sha256')
      .update(await readFile(inTree(tree, path)))
      .digest('hex');
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(inTree(tree, path), { highWaterMark: 1 << 20 })) {
    ctx.signal.throwIfAborted();
    hash.update(chunk as Buffer);
    ctx.beat();
  }
  return hash.digest('hex');
}

export async function* linesOf(file: string): AsyncGenerator<string> {
  const raw = createReadStream(file);
  const input = file.endsWith('.gz') ? raw.pipe(createGunzip()) : raw;
  raw.on('error', (error) => input.destroy(error));
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) if (line !== '') yield line;
}

/** Writes lines as they come, durable on return; compressed where the name says so. */
export async function writeLines(file: string, lines: AsyncIterable<string>): Promise<void> {
  const disk = createWriteStream(file, { mode: 0o600, flush: true });
  const out = file.endsWith('.gz') ? createGzip() : disk;
  const broken = new Promise<never>((_, reject) => disk.once('error', reject));
  broken.catch(() => {});
  if (out !== disk) out.pipe(disk);
  try {
    for await (const line of lines) if (!out.write(`${line}\n`)) await Promise.race([once(out, 'drain'), broken]);
  } finally {
    out.end();
  }
  await finished(disk);
}

/** Does `work` for each, a few at once, in their order: one file system call at a time is slow with millions of files. */
export async function* together<T, R>(items: AsyncIterable<T>, work: (item: T) => Promise<R>): AsyncGenerator<R> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < AT_ONCE) continue;
    yield* await Promise.all(batch.map(work));
    batch = [];
  }
  yield* await Promise.all(batch.map(work));
}

const AT_ONCE = 32;
