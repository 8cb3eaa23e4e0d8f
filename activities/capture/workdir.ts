import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir, readdir, readlink, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../contracts.js';
import type { ProcessMark, StateDir } from '../site/api.js';
import { liveness, ownMark } from '../site/marks.js';

/** No step takes longer: what an unknown process (another container) left is nobody's after this. */
const LONGEST_MS = 24 * 3600_000;
/** The link in a directory of ours that names its place outside. */
const OUTSIDE = 'outside';
const PLACE = /\/hf-[0-9a-f]{12}$/;

/** Gives `use` a fresh directory of its own below the state's work area, and removes it afterwards. */
export async function withWorkDir<T>(state: StateDir, use: (dir: string) => Promise<T>): Promise<T> {
  // Parts have theirs in the cache that they are given.
  await removeDead(join(state.work, 'cache'));
  return withDirIn(state.work, use);
}

/** The same in any directory of ours. What a killed worker left in it goes first. */
export async function withDirIn<T>(work: string, use: (dir: string) => Promise<T>): Promise<T> {
  await removeDead(work);
  const dir = await freshDir(work);
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Where a part puts what goes when it is done: the sweep knows it. */
export const workOf = ({ cacheDir }: Pick<Context, 'cacheDir'>): string => cacheDir ?? tmpdir();

/** A name in a directory of ours for what does not outlive this process: the sweep knows it, a file or a directory. */
export const freshName = (work: string): string => join(work, `tmp-${nameOf(ownMark())}-${randomUUID()}`);

/** A directory of that name, which its maker removes. */
export async function freshDir(work: string): Promise<string> {
  const dir = freshName(work);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return dir;
}

/**
 * Gives `use` a directory in the system's own temporary one: its path is short enough for a socket, and another user may come to it. It is
 * noted in `work` before it is made, so that the sweep finds it.
 */
export async function withDirOutside<T>(work: string, use: (dir: string) => Promise<T>): Promise<T> {
  const note = await freshDir(work);
  const dir = join(tmpdir(), `hf-${randomBytes(6).toString('hex')}`);
  await symlink(dir, join(note, OUTSIDE));
  try {
    await mkdir(dir, { mode: 0o700 });
    return await use(dir);
  } finally {
    await removeNoted(note);
  }
}

/** Removes all that workers which were killed left in the work area: at a worker's boot, and again and again by the watchdog. */
export async function sweepWork({ work }: StateDir): Promise<void> {
  const cache = join(work, 'cache');
  const kept = await readdir(cache, { withFileTypes: true }).catch(() => []);
  const repositories = kept.filter((entry) => entry.isDirectory() && !markIn(entry.name));
  for (const dir of [work, cache, ...repositories.map(({ name }) => join(cache, name))]) await removeDead(dir);
}

/** Whole databases lie in them: those of a worker that was killed must not pile up. What cannot be removed now the next sweep finds. */
async function removeDead(work: string): Promise<void> {
  for (const name of await readdir(work).catch(() => [])) {
    const mark = markIn(name);
    if (!mark) continue;
    const path = join(work, name);
    const owner = liveness(mark);
    const old = async () => Date.now() - (await stat(path)).mtimeMs > LONGEST_MS;
    if (owner === 'dead' || (owner === 'unknown' && (await old().catch(() => false))))
      await removeNoted(path).catch(() => {});
  }
}

async function removeNoted(path: string): Promise<void> {
  const outside = await readlink(join(path, OUTSIDE)).catch(() => undefined);
  if (outside && PLACE.test(outside)) await rm(outside, { recursive: true, force: true });
  await rm(path, { recursive: true, force: true });
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
