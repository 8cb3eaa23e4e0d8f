import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { FileLine, type Manifest } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { freshName } from '../capture/workdir.js';
import type { BackupRequest, Context } from '../contracts.js';
import { COPY_ARGS, LIST_ARGS, PROGRESS_ARGS, progressOf, RSYNC_CODES, remotePath, rshOf } from '../tools/rsync.js';
import { IDLE_MS } from './lines.js';
import { rsyncFailure } from './rsync-failure.js';
import { keyOf, linesOf, pathOf, writeLines } from './rsync-list.js';
import { sourcesOf, walk } from './walk.js';

/** One copy from a source into the tree in the making. */
export interface Copy {
  repo: RepositorySpec;
  request: BackupRequest;
  /** `<id>.partial`. */
  tree: string;
  /** Directories that hold earlier states of the same tree: what is unchanged is hard-linked from there. */
  links: string[];
  /** Compare contents, not only sizes and times. */
  checksum: boolean;
}

/** Copies, and writes the paths that were asked for to `asked`, one key a line. */
export async function copy(work: Copy, asked: string, ctx: Context): Promise<void> {
  const { request, tree } = work;
  if (!request.from) {
    const roots = await sourcesOf(request, ctx);
    return listed(work, keysBelow(roots, request.exclude), asked, ctx);
  }
  // The dumps come first, and with them the lists of what is pulled from where it lies.
  const { staging } = request.manifest;
  await run(work, ['--recursive', '--relative', `${remotePath(request.from, staging)}`], undefined, ctx);
  await writeLines(asked, keysBelow([join(tree, staging)], [], tree.length));
  const sets = freshName(request.workDir);
  try {
    await listed(work, keysOfSets(request.manifest, tree, ctx), sets, ctx);
    await ctx.run('sh', ['-euc', 'cat -- "$1" >>"$2"', 'sh', sets, asked]);
  } finally {
    await rm(sets, { force: true });
  }
}

async function listed(work: Copy, keys: AsyncIterable<string>, asked: string, ctx: Context): Promise<void> {
  await mkdir(work.request.workDir, { recursive: true });
  await writeLines(asked, keys);
  async function* names(): AsyncGenerator<Buffer> {
    let batch: Buffer[] = [];
    for await (const key of linesOf(asked)) {
      batch.push(pathOf(key), END);
      if (batch.length < 1000) continue;
      yield Buffer.concat(batch);
      batch = [];
    }
    if (batch.length > 0) yield Buffer.concat(batch);
  }
  const { from } = work.request;
  await run(work, [...LIST_ARGS, from ? remotePath(from, '/') : '/'], Readable.from(names()), ctx);
}

const END = Buffer.from([0]);

async function* keysBelow(roots: string[], exclude: string[], cut = 0): AsyncGenerator<string> {
  for (const root of roots) for await (const { path } of walk(root, exclude)) yield keyOf(path.subarray(cut));
}

/** Files that are stored from where they lie, by the manifest's own lists. */
async function* keysOfSets(manifest: Manifest, tree: string, ctx: Context): AsyncGenerator<string> {
  for (const { where, root, list } of manifest.fileSets) {
    if (where !== 'inPlace') continue;
    const safe = (path: string) => path.startsWith('/') && !path.split('/').includes('..');
    yield keyOf(Buffer.from(root));
    for await (const line of linesOf(join(tree, manifest.staging, list))) {
      const path = join(root, FileLine.parse(JSON.parse(line)).p);
      if (!safe(root) || !safe(path))
        throw ctx.fail('SnapshotDiffers', 'a list of the capture names a path that is none');
      yield keyOf(Buffer.from(path));
    }
  }
}

async function run(
  { repo, request, tree, links, checksum }: Copy,
  args: string[],
  input: Readable | undefined,
  ctx: Context,
) {
  const { from } = request;
  const temp = tree.replace(/\.partial$/, '.tmp');
  await mkdir(temp, { recursive: true, mode: 0o700 });
  let rest = '';
  const result = await ctx.run(
    'rsync',
    [
      ...COPY_ARGS,
      ...PROGRESS_ARGS,
      // What was cut off goes on where it ended; it is kept beside, and only whole files get their name.
      ...['--partial', `--temp-dir=${temp}`],
      ...links.map((dir) => `--link-dest=${dir}`),
      ...(checksum ? ['--checksum'] : []),
      ...(repo.uploadLimit ? [`--bwlimit=${Math.max(1, Math.floor(repo.uploadLimit / 1024))}`] : []),
      ...(from ? [`--rsh=${rshOf(from)}`, '--compress'] : []),
      ...args,
      `${tree}/`,
    ],
    {
      ok: RSYNC_CODES,
      idleMs: IDLE_MS,
      ...(input ? { input } : {}),
      onStdout: async (stdout) => {
        for await (const chunk of stdout) {
          const parts = (rest + String(chunk)).split(/[\r\n]/);
          rest = parts.pop() ?? '';
          const bytes = parts.map(progressOf).findLast((each) => each !== undefined);
          ctx.beat(bytes === undefined ? undefined : { bytes });
        }
      },
    },
  );
  const failed = rsyncFailure(result, repo.name, from, ctx);
  if (failed) throw failed;
}
