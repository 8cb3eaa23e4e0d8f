import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import { freshDir, workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { writeDurable } from '../site/durable.js';
import { SUSPECT } from './rsync-backup.js';
import { entryOf, hashOf, linesOf, look, pathOf, writeLines } from './rsync-list.js';
import { allTrees, type Tree } from './rsync-tree.js';

/**
 * Every list has its hash; every entry is there with its size and time, in the newest trees always and in the others in turn; the
 * bytes of each file are read and hashed in turn, once however many trees share it.
 */
export async function check(
  repo: RepositorySpec,
  depth: 'structure' | 'sample' | 'full',
  part: { n: number; of: number },
  ctx: Context,
): Promise<{ said: string }> {
  const trees = await allTrees(repo, ctx);
  const damaged = async (tree: Tree, path?: string): Promise<Error> => {
    await writeDurable(join(tree.dir, SUSPECT), `${new Date().toISOString()}\n`).catch(() => {});
    const places = [`${tree.id}${path ?? ''}`];
    return ctx.fail('RepositoryDamaged', `a tree in ${repo.name} is damaged`, { details: { places } });
  };
  const turn = (i: number) => i % part.of === (part.n - 1) % part.of;
  for (const [i, tree] of trees.entries()) {
    if (!tree.whole || (await sha256Of(tree.list)) !== tree.mark.listSha256) throw await damaged(tree);
    const newest = trees[i + 1]?.dir !== tree.dir;
    if (!newest && !(depth === 'full' || (depth === 'sample' && turn(i)))) continue;
    for await (const line of linesOf(tree.list)) {
      const { path, type, size, mtimeMs } = entryOf(line);
      const now = await look(tree.path, path);
      ctx.beat();
      if (now?.type !== type || now.size !== size || (type === 'f' && now.mtimeMs !== mtimeMs))
        throw await damaged(tree, path.toString());
    }
  }
  const said = `${trees.length} trees are whole`;
  if (depth === 'structure' || trees.length === 0) return { said };
  const dir = await freshDir(workOf(ctx));
  try {
    const files = join(dir, 'files');
    await writeLines(
      files,
      chosen(trees, depth === 'full' ? () => true : (inode) => turn(Number(inode % BigInt(part.of)))),
    );
    await ctx.run('sort', ['-u', '-t', '\t', '-k', '1,1', '-o', files, files], { env: { LC_ALL: 'C', TMPDIR: dir } });
    const sum = { files: 0, bytes: 0 };
    for await (const line of linesOf(files)) {
      const [same = '', index = '', size, key = ''] = line.split('\t');
      const tree = trees[Number(index)];
      if (!tree) continue;
      const path = pathOf(key);
      const sha256 = await hashOf(tree.path, path, ctx, Number(size)).catch(() => undefined);
      if (sha256 !== same.split(':')[1]) throw await damaged(tree, path.toString());
      sum.files++;
      sum.bytes += Number(size);
    }
    return { said: `${said}, ${formatBytes(sum.bytes)} of ${sum.files} files read again` };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** `inode:sha256 ⇥ tree ⇥ size ⇥ path`: two lines of one inode and content are one file. */
async function* chosen(trees: Tree[], wanted: (inode: bigint) => boolean): AsyncGenerator<string> {
  for (const [i, { list }] of trees.entries())
    for await (const line of linesOf(list)) {
      const { type, size, inode, sha256 } = entryOf(line);
      if (type === 'f' && wanted(BigInt(inode)))
        yield `${inode}:${sha256}\t${i}\t${size}\t${line.slice(0, line.indexOf('\t'))}`;
    }
}
