import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, ListedFile } from '../contracts.js';
import { COPY_ARGS, classifyRsync, LIST_ARGS, PROGRESS_ARGS, RSYNC_CODES, remotePath, rshOf } from '../tools/rsync.js';
import { IDLE_MS } from './lines.js';
import { rsyncFailure } from './rsync-failure.js';
import { entryOf, hashOf, linesOf, look, together } from './rsync-list.js';
import { remoteOf } from './rsync-remote.js';
import type { Tree } from './rsync-tree.js';

/** What the tree holds now: an entry of the list that is gone is left out. Of another machine's tree, what its list says. */
export async function* contents(tree: Tree, byList: boolean): AsyncGenerator<ListedFile> {
  for await (const line of linesOf(tree.list)) {
    const entry = entryOf(line);
    const now = byList ? entry : await look(tree.path, entry.path);
    if (now) yield { path: now.path.toString(), type: now.type, size: now.size, mtimeMs: now.mtimeMs };
  }
}

/** Copies out of a tree, and fails where a file is not what was stored. */
export async function restore(
  repo: RepositorySpec,
  tree: Tree,
  target: string,
  paths: string[] | undefined,
  ctx: Context,
): Promise<void> {
  const limit = repo.downloadLimit ? [`--bwlimit=${Math.max(1, Math.floor(repo.downloadLimit / 1024))}`] : [];
  const ssh = remoteOf(repo, ctx);
  const from = ssh ? remotePath(ssh, join(repo.location, basename(tree.dir), tree.id)) : tree.path;
  const result = await ctx.run(
    'rsync',
    [
      ...[...COPY_ARGS, ...PROGRESS_ARGS, ...limit, '--recursive', ...(paths ? LIST_ARGS : [])],
      ...[...(ssh ? [`--rsh=${rshOf(ssh)}`] : []), `${from}/`, `${target}/`],
    ],
    {
      ok: RSYNC_CODES,
      idleMs: IDLE_MS,
      ...(paths ? { input: Readable.from(paths.map((path) => `${path}\0`)) } : {}),
      onLine: () => ctx.beat(),
    },
  );
  const { exitCode, stderrTail } = result;
  const details = { tool: 'rsync', exitCode, stderrTail };
  const failed = ssh && rsyncFailure(result, repo.name, ssh, ctx);
  if (failed) throw failed;
  if (classifyRsync(exitCode, stderrTail, false) === 'DiskFull')
    throw ctx.fail('DiskFull', 'the disk of the restore filled up', { details });
  if (exitCode !== 0)
    throw ctx.fail('ToolFailed', `rsync could not restore all of a tree in ${repo.name}`, { details });
  const wanted = (path: string) => paths?.some((each) => path === each || path.startsWith(`${each}/`)) ?? true;
  const judged = together(linesOf(tree.list), async (line) => {
    const { path, size, sha256 } = entryOf(line);
    if (sha256 === undefined || !wanted(path.toString())) return undefined;
    const found = await hashOf(target, path, ctx, size).catch(() => undefined);
    return found === sha256 ? undefined : path.toString();
  });
  for await (const damaged of judged)
    if (damaged !== undefined)
      throw ctx.fail('RepositoryDamaged', `a file in ${repo.name} is not what was stored`, {
        details: { places: [`${tree.id}${damaged}`] },
      });
}
