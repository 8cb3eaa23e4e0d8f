import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines, sortFile, writeLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { held, lacking, remove } from './rclone-content.js';
import { gunzipped, itemOf, joined, NONE } from './rclone-list.js';
import { fetchList, type Mark, marksOf, PENDING, removeFiles, SITES } from './rclone-mark.js';
import { pathIn, rclone } from './rclone-remote.js';

/** A store that began so long ago is over. */
const LONGEST = '26h';

/** `<hash>\t<size>` of all content that these snapshots need, sorted, once each. */
export async function needed(
  repo: RepositorySpec,
  marks: readonly Mark[],
  file: string,
  dir: string,
  ctx: Context,
): Promise<void> {
  async function* lines() {
    for (const mark of marks) {
      const { list } = await fetchList(repo, mark, join(dir, 'list'), ctx);
      for await (const line of gunzipped(list)) {
        const { hash, size } = itemOf(line);
        if (hash !== NONE) yield `${hash}\t${size}`;
      }
      await rm(join(dir, 'list'), { recursive: true });
    }
  }
  await writeLines(file, lines());
  await sortFile(file, ctx);
  await ctx.run('sort', ['-u', '-o', file, file], { env: { LC_ALL: 'C' } });
}

/** Removes snapshots, then the content that none needs any more. Where another host is storing, the content stays until the next time. */
export async function forget(
  repo: RepositorySpec,
  ids: readonly string[],
  dir: string,
  ctx: Context,
): Promise<{ freedBytes: number }> {
  const all = await marksOf(repo, undefined, dir, ctx);
  // The mark first: without it there is no snapshot.
  for (const { snapshot } of all.filter((each) => ids.includes(each.snapshot.id)))
    await removeFiles(
      repo,
      ['json', 'list.gz', 'xattr.gz'].map((end) => `${SITES}/${snapshot.siteId}/${snapshot.id}.${end}`),
      ctx,
    );
  const busy = async () => {
    const args = ['lsf', '--files-only', '--max-age', LONGEST, pathIn(repo, PENDING, ctx)];
    return (await rclone(repo, args, { ok: [0, 3] }, ctx)).stdout.trim() !== '';
  };
  const left = all.filter(({ snapshot }) => !ids.includes(snapshot.id));
  const [want, have] = [join(dir, 'want.txt'), join(dir, 'have.txt')];
  await needed(repo, left, want, dir, ctx);
  await held(repo, have, ctx);
  let freedBytes = 0;
  const gone: string[] = [];
  for await (const [line, of] of joined(readLines(have), readLines(want))) {
    if (of !== undefined) continue;
    const [hash = '', size] = line.split('\t');
    gone.push(hash);
    freedBytes += Number(size);
  }
  if (await busy()) {
    ctx.note(`${repo.name}: somebody is storing there; what nobody needs any more goes the next time`);
    return { freedBytes: 0 };
  }
  await remove(repo, gone, dir, ctx);
  return { freedBytes };
}

/** The first content that a snapshot needs and the repository does not have in full. */
export async function firstLacking(want: string, have: string): Promise<string | undefined> {
  for await (const line of lacking(want, have)) return line.slice(0, 64);
  return undefined;
}

export async function withDir<T>(workDir: string, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(workDir, 'rclone-'));
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
