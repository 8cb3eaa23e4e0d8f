import { lstat, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Names the disk that a path lies on, or will lie on where it does not exist yet: between two paths of one name a rename
 * works. File system and mount count both: a bind mount of the same file system refuses a rename too. A symbolic link is
 * taken as itself, because a rename moves the link.
 */
export async function diskOf(path: string): Promise<string> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return diskIn(dirname(path));
  const real = path === '/' ? path : join(await realpath(dirname(path)), basename(path));
  return `${stats.dev} ${mountOf(real, await mountPoints())}`;
}

/** The disk of what is made in a directory: links on the way there are followed, that one too. */
export async function diskIn(directory: string): Promise<string> {
  const real = await realpath(directory).catch(() => undefined);
  return real === undefined ? diskIn(dirname(directory)) : diskOf(real);
}

/** Mount points below a directory: a rename takes them along, and whoever removes the tree removes what is mounted there. */
export async function mountsBelow(directory: string): Promise<string[]> {
  const real = await realpath(directory).catch(() => undefined);
  if (real === undefined || (await lstat(directory)).isSymbolicLink()) return [];
  return (await mountPoints()).filter((point) => point.startsWith(`${real}/`));
}

async function mountPoints(): Promise<string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines.flatMap((line) => {
    const point = line.split(' ')[4];
    return point ? [point.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))] : [];
  });
}

function mountOf(path: string, points: readonly string[]): string {
  for (let at = path; ; at = dirname(at)) if (points.includes(at) || at === '/') return at;
}
