import { lstat, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { FailureType } from '../../src/core/failures.js';
import { isFailure } from '../../src/core/failures.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { writeDurable } from '../site/durable.js';

/** Refuses a location whose disk is not mounted: a backup into the empty mount point would fill the system disk. */
export async function assertMounted(repo: RepositorySpec, ctx: Context): Promise<void> {
  if (!repo.requireMount || !isAbsolute(repo.location)) return;
  const place = await realpath(await nearest(repo.location));
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').map(mountPoint);
  if (mounts.some((point) => point !== '/' && point !== '' && (place === point || place.startsWith(`${point}/`))))
    return;
  throw ctx.fail('RepositoryNotMounted', `the disk of repository ${repo.name} is not mounted`);
}

/** Field 5, with spaces and the like as octal escapes. */
function mountPoint(line: string): string {
  return (line.split(' ')[4] ?? '').replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)));
}

async function nearest(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    if (await exists(at)) return at;
    if (at === dirname(at)) return at;
  }
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}

/** Writes a note in clear into the repository's directory; does nothing where the location is none. */
export async function writeNote(repo: RepositorySpec, name: string, text: string, ctx: Context): Promise<void> {
  if (!isAbsolute(repo.location)) return;
  try {
    if ((await stat(repo.location)).isDirectory()) await writeDurable(join(repo.location, name), text);
  } catch (error) {
    // A backup whose note cannot be written (append-only, read-only) is still a backup.
    ctx.note(`${name} could not be written beside repository ${repo.name}: ${codeOf(error) ?? 'unknown'}`);
  }
}

const MEANING: Record<string, FailureType> = {
  ENOSPC: 'DiskFull',
  EDQUOT: 'DiskFull',
  EACCES: 'RepositoryDenied',
  EPERM: 'RepositoryDenied',
  EROFS: 'RepositoryDenied',
  ENOENT: 'RepositoryMissing',
  ENOTDIR: 'RepositoryMissing',
  EIO: 'RepositoryUnreachable',
  ESTALE: 'RepositoryUnreachable',
  ENOTCONN: 'RepositoryUnreachable',
  EHOSTDOWN: 'RepositoryUnreachable',
  ETIMEDOUT: 'RepositoryUnreachable',
};

const WORDS: Partial<Record<FailureType, [what: string, advice?: string]>> = {
  DiskFull: ['is full'],
  RepositoryDenied: ['may not be read or written', 'give the worker the right to its directory'],
  RepositoryMissing: ['is not there'],
  RepositoryUnreachable: ['does not answer'],
};

/** Does `work` on a repository's directory; what the file system says becomes a failure of the catalogue. */
export async function onDisk<T>(repo: RepositorySpec, ctx: Context, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const type = isFailure(error) ? undefined : MEANING[codeOf(error) ?? ''];
    if (!type) throw error;
    const [what = '', advice] = WORDS[type] ?? [];
    throw ctx.fail(type, `repository ${repo.name} ${what}`, { ...(advice ? { advice } : {}), cause: error });
  }
}

export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
