import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProcessMark, StateDir } from '../site/api.js';
import { liveness, ownMark } from '../site/marks.js';

/** No step takes longer: what an unknown process (another container) left is nobody's after this. */
const LONGEST_MS = 24 * 3600_000;

/** Gives `use` a fresh directory of its own below the state's work area, and removes it afterwards. */
export async function withWorkDir<T>(state: StateDir, use: (dir: string) => Promise<T>): Promise<T> {
  // Parts have theirs in the cache that they are given.
  await removeDead(join(state.work, 'cache'));
  return withDirIn(state.work, use);
}

/** The same in any directory of ours. What a killed worker left in it goes first. */
export async function withDirIn<T>(work: string, use: (dir: string) => Promise<T>): Promise<T> {
  await removeDead(work);
  const dir = join(work, `tmp-${nameOf(ownMark())}-${randomUUID()}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Whole databases lie in them: those of a worker that was killed must not pile up. */
async function removeDead(work: string): Promise<void> {
  for (const name of await readdir(work).catch(() => [])) {
    const mark = markIn(name);
    if (!mark) continue;
    const path = join(work, name);
    const owner = liveness(mark);
    const old = async () => Date.now() - (await stat(path)).mtimeMs > LONGEST_MS;
    if (owner === 'dead' || (owner === 'unknown' && (await old().catch(() => false))))
      await rm(path, { recursive: true, force: true });
  }
}

const nameOf = ({ pid, startTime, bootId, pidNamespace }: ProcessMark): string =>
  Buffer.from([pid, startTime, bootId, pidNamespace].join(' ')).toString('base64url');

function markIn(name: string): ProcessMark | undefined {
  const coded = /^tmp-([\w-]+)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.exec(name)?.[1];
  const [pid, startTime, bootId, pidNamespace] = Buffer.from(coded ?? '', 'base64url')
    .toString()
    .split(' ');
  if (!startTime || !bootId || !pidNamespace) return undefined;
  return { pid: Number(pid), startTime, bootId, pidNamespace };
}

/** The cache of one repository: kept between runs. */
export async function cacheDir(state: StateDir, repository: string): Promise<string> {
  const dir = join(state.work, 'cache', repository);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return dir;
}
