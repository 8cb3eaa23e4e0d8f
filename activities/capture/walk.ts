import type { Stats } from 'node:fs';
import { lstat, opendir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import picomatch from 'picomatch';
import type { FileLine } from '../../src/core/manifest.js';
import type { FileSetSpec } from '../../src/core/plan.js';
import { places } from './places.js';

/**
 * Whether a path (relative to the set's root) belongs to the set. A pattern that names a directory takes all below it, a name with a line
 * break in it too: hence the flag.
 */
export function matcher(set: Pick<FileSetSpec, 'include' | 'exclude'>): (relative: string) => boolean {
  const compile = (patterns: string[]) =>
    picomatch(
      patterns.flatMap((p) => [p, `${p.replace(/\/+$/, '')}/**`]),
      { dot: true, flags: 's' },
    );
  const included = set.include.length > 0 ? compile(set.include) : () => true;
  const excluded = set.exclude.length > 0 ? compile(set.exclude) : () => false;
  return (relative) => included(relative) && !excluded(relative);
}

/** How many entries are looked at side by side. */
const AT_ONCE = 64;

/**
 * Walks a file set, one directory at a time: memory stays flat at millions of files. Directories come before what is in
 * them. What vanishes meanwhile is passed over; what cannot be read is told to `unreadable`, a name that a list cannot hold to `unnameable`.
 */
export async function* walk(
  set: Pick<FileSetSpec, 'root' | 'include' | 'exclude'>,
  unreadable: (path: string) => void,
  unnameable: (path: string) => void = (path) => unreadable(`${path} (its name is no UTF-8)`),
): AsyncGenerator<FileLine> {
  const wanted = matcher(set);
  const included = matcher({ include: [], exclude: set.exclude });
  async function* below(relative: string): AsyncGenerator<FileLine> {
    const options = { bufferSize: AT_ONCE };
    const dir = await opendir(join(set.root, relative), options).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') unreadable(relative || '.');
      return undefined;
    });
    if (!dir) return;
    let paths: string[] = [];
    for await (const entry of dir) {
      paths.push(relative ? `${relative}/${entry.name}` : entry.name);
      if (paths.length < AT_ONCE) continue;
      yield* at(paths);
      paths = [];
    }
    yield* at(paths);
  }
  async function* at(paths: string[]): AsyncGenerator<FileLine> {
    const taken = paths.filter(included);
    const lines = await Promise.all(taken.map((path) => describe(set.root, path)));
    for (const [i, path] of taken.entries()) {
      const line = lines[i];
      if (!line) {
        // A name that is no UTF-8 comes back as another one: left out here, nobody would miss it.
        if (path.slice(path.lastIndexOf('/')).includes('\uFFFD')) unnameable(path);
        continue;
      }
      if (wanted(path)) yield line;
      if (line.t === 'd') yield* below(path);
    }
  }
  for (const place of await places(set, unreadable)) yield* place === '' ? below('') : at([place]);
}

/**
 * One line of a list; undefined where the file is gone, and for a socket: it holds no data, its program makes it anew, and neither restic
 * nor tar stores one. Times are whole milliseconds.
 */
export async function describe(root: string, relative: string): Promise<FileLine | undefined> {
  const path = join(root, relative);
  const stats = await lstat(path).catch(() => undefined);
  if (!stats || stats.isSocket()) return undefined;
  const target = stats.isSymbolicLink() ? await readlink(path).catch(() => undefined) : undefined;
  return {
    p: relative,
    t: typeOf(stats),
    s: stats.isFile() ? stats.size : 0,
    m: Math.trunc(stats.mtimeMs),
    o: stats.mode & 0o7777,
    u: stats.uid,
    g: stats.gid,
    ...(target === undefined ? {} : { l: target }),
    ...(stats.isCharacterDevice() || stats.isBlockDevice() ? { d: deviceOf(stats) } : {}),
  };
}

/** Kind and number of a device, as a list has it: `c 0:0`. */
export function deviceOf(stats: Stats): string {
  const { rdev } = stats;
  // As glibc's gnu_dev_major and gnu_dev_minor have it.
  const major = Math.floor(rdev / 256) % 4096;
  const minor = (rdev % 256) + (Math.floor(rdev / 2 ** 20) % 2 ** 24) * 256;
  return `${stats.isCharacterDevice() ? 'c' : 'b'} ${major}:${minor}`;
}

function typeOf(stats: Stats): FileLine['t'] {
  if (stats.isFile()) return 'f';
  if (stats.isDirectory()) return 'd';
  return stats.isSymbolicLink() ? 'l' : 'o';
}
