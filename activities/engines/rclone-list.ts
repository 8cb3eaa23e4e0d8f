import { type BigIntStats, createReadStream } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import type { ListedFile } from '../contracts.js';

/**
 * One line of a snapshot's list: tab-separated, so that a shell reads it. Paths are bytes, in base64. `hash` is that of the content, `same`
 * the path of the first name of a hard link; `-` where there is none.
 */
export interface Item {
  path: string;
  type: ListedFile['type'];
  mode: number;
  uid: number;
  gid: number;
  mtimeNs: bigint;
  size: number;
  hash: string;
  same: string;
  sparse: boolean;
  /** Where a symbolic link leads; of a pipe or device what `mknod` needs to make it: `p`, `c 1 3`. */
  target: string;
}

export const NONE = '-';
export const b64 = (bytes: Buffer | string): string => Buffer.from(bytes).toString('base64');
export const unb64 = (text: string): Buffer => Buffer.from(text, 'base64');

export function lineOf(item: Item): string {
  const { path, type, mode, uid, gid, mtimeNs, size, hash, same, sparse, target } = item;
  return [path, type, mode.toString(8), uid, gid, mtimeNs, size, hash, same, sparse ? 1 : 0, target].join('\t');
}

export function itemOf(line: string): Item {
  const [path = '', type, mode = '0', uid, gid, mtime = '0', size, hash = NONE, same = NONE, sparse, target = NONE] =
    line.split('\t');
  return {
    ...{ path, type: type as Item['type'], mode: Number.parseInt(mode, 8), uid: Number(uid), gid: Number(gid) },
    ...{ mtimeNs: BigInt(mtime), size: Number(size), hash, same, sparse: sparse === '1', target },
  };
}

/** What a file is now; undefined where it is gone. `mark` changes whenever its content may have. */
export async function lookAt(path: Buffer): Promise<{ item: Item; mark: string; stats: BigIntStats } | undefined> {
  const stats = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (!stats) return undefined;
  const type = stats.isFile() ? 'f' : stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : 'o';
  const size = type === 'f' ? Number(stats.size) : 0;
  const item: Item = {
    ...{ path: b64(path), type, mode: Number(stats.mode) & 0o7777, uid: Number(stats.uid), gid: Number(stats.gid) },
    ...{
      mtimeNs: stats.mtimeNs,
      size,
      hash: NONE,
      same: NONE,
      sparse: type === 'f' && stats.blocks * 512n < stats.size,
    },
    target: type === 'l' ? b64(await readlink(path, { encoding: 'buffer' })) : type === 'o' ? special(stats) : NONE,
  };
  return { item, mark: [size, stats.mtimeNs, stats.ctimeNs, stats.ino, stats.dev].join(' '), stats };
}

/** A socket is its program's, which makes it anew. */
function special(stats: BigIntStats): string {
  if (stats.isFIFO()) return b64('p');
  if (stats.isSocket()) return NONE;
  const { rdev } = stats;
  // As glibc's gnu_dev_major and gnu_dev_minor have it.
  const [major, minor] = [(rdev >> 8n) & 0xfffn, (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)];
  return b64(`${stats.isCharacterDevice() ? 'c' : 'b'} ${major} ${minor}`);
}

export function listed({ path, type, size, mtimeNs }: Item): ListedFile {
  return { path: unb64(path).toString(), type, size, mtimeMs: Number(mtimeNs / 1000n) / 1000 };
}

export async function* gunzipped(path: string): AsyncGenerator<string> {
  const input = createReadStream(path).pipe(createGunzip());
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) if (line) yield line;
}

/** Lines of two files sorted bytewise, side by side by their first field. `right` has at most one of each. */
export async function* joined(
  left: AsyncIterable<string>,
  right: AsyncIterator<string>,
): AsyncGenerator<[left: string, right: string | undefined]> {
  let next = await right.next();
  for await (const line of left) {
    const key = keyOf(line);
    while (!next.done && keyOf(next.value) < key) next = await right.next();
    yield [line, !next.done && keyOf(next.value) === key ? next.value : undefined];
  }
}

/** With the tab that follows it: as `LC_ALL=C sort` has whole lines. All of it is ASCII. */
function keyOf(line: string): string {
  return line.slice(0, line.indexOf('\t') + 1);
}
