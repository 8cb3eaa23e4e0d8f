import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines, sortFile, writeLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { held, lacking, remove } from './rclone-content.js';
import { gunzipped, itemOf, joined, NONE } from './rclone-list.js';
import { Sweep, somebodyStores } from './rclone-locks.js';
import { fetchList, type Mark, marksOf, removeFiles, SITES } from './rclone-mark.js';

/** `<hash>\t<size>` of all content that these snapshots need, sorted, once each. */
export async function needed(
  repo: RepositorySpec,
  marks: readonly Mark[],
  file: string,
  dir: string,
  ctx: Context,
  each: () => Promise<void> = async () => {},
): Promise<void> {
  async function* lines() {
    for (const mark of marks) {
      await each();
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
  await ctx.run('sort', ['-u', '-o', file, file], { env: { LC_ALL: 'C', TMPDIR: dir } });
}

/** Removes snapshots, then the content that none needs any more. Where somebody is storing, the content stays until the next time. */
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
  const sweep = await Sweep.begin(repo, dir, ctx);
  try {
    if (await somebodyStores(repo, ctx)) {
      ctx.note(`${repo.name}: somebody is storing there; what nobody needs any more goes the next time`);
      return { freedBytes: 0 };
    }
    return await sweepContent(repo, sweep, dir, ctx);
  } finally {
    await sweep.end();
  }
}

/** Marks are read only now: whoever stored until a moment ago has one, and whoever comes waits. */
async function sweepContent(
  repo: RepositorySpec,
  sweep: Sweep,
  dir: string,
  ctx: Context,
): Promise<{ freedBytes: number }> {
  const [want, have, gone] = [join(dir, 'want.txt'), join(dir, 'have.txt'), join(dir, 'gone.txt')];
  await needed(repo, await marksOf(repo, undefined, dir, ctx), want, dir, ctx, () => sweep.goOn());
  await held(repo, have, ctx);
  async function* unneeded() {
    for await (const [line, of] of joined(readLines(have), readLines(want))) if (of === undefined) yield line;
  }
  await writeLines(gone, unneeded());
  let freedBytes = 0;
  let hashes: string[] = [];
  const flush = async () => {
    await sweep.goOn();
    await remove(repo, hashes, dir, ctx);
    hashes = [];
  };
  for await (const line of readLines(gone)) {
    const [hash = '', size] = line.split('\t');
    freedBytes += Number(size);
    if (hashes.push(hash) >= AT_ONCE) await flush();
  }
  await flush();
  return { freedBytes };
}

/** So many are removed by one call; between them others may see that this one lives. */
const AT_ONCE = 5000;

/** The first content that a snapshot needs and the repository does not have in full. */
export async function firstLacking(want: string, have: string): Promise<string | undefined> {
  for await (const line of lacking(want, have)) return line.slice(0, 64);
  return undefined;
}
