import { mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import { consistencyOf } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import { freshName } from '../capture/workdir.js';
import type { BackupRequest, Context, Stored } from '../contracts.js';
import { syncDirectory, writeDurable } from '../site/durable.js';
import { exists, onDisk } from './location.js';
import { copy } from './rsync-copy.js';
import {
  before,
  type Entry,
  entryOf,
  hashOf,
  lineOf,
  linesOf,
  look,
  pathOf,
  samePath,
  together,
  writeLines,
} from './rsync-list.js';
import {
  clearLeftovers,
  listOf,
  type Mark,
  markOf,
  partialsIn,
  removeTree,
  SAFE,
  type Tree,
  treeId,
  treesOf,
  withdraw,
} from './rsync-tree.js';
import { assertSources } from './walk.js';

/** Trees of attempts that never ended, of which what was copied is taken over; rsync takes 20 directories at most. */
const PARTIALS = 8;

/** What a check has found damaged: the next copy compares contents, so that it does not link to it again. */
export const SUSPECT = 'damage-was-found';

/** Stores a capture as a dated tree: beside, fsync, list, rename, and the completion mark last. */
export async function backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored> {
  if (!request.from) await assertSources(request, ctx);
  const { manifest, runId, kind } = request;
  const { siteId, captureId, capturedAt } = manifest;
  const id = treeId(capturedAt, captureId);
  if (!SAFE.test(siteId) || !SAFE.test(id))
    throw ctx.fail('InvalidConfig', `the site id ${siteId} cannot name a directory`, {
      advice: 'use letters, digits, . _ -',
    });
  const dir = join(repo.location, siteId);
  if (process.getuid?.() !== 0) ctx.note(`${repo.name}: this worker is not root, so that owners are not kept`);
  return onDisk(repo, ctx, async () => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await clearLeftovers(dir, ctx);
    const tree = join(dir, `${id}.partial`);
    const earlier = await treesOf(repo, siteId, ctx);
    if (earlier.some((each) => each.id === id && each.mark.snapshot.captureId !== captureId))
      throw ctx.fail('SnapshotDiffers', `another capture has the name ${id} in ${repo.name}`, {
        advice: 'nothing was replaced; start the backup again',
      });
    const partials = (await partialsIn(dir)).map((name) => join(dir, name)).filter((path) => path !== tree);
    const suspect = await exists(join(dir, SUSPECT));
    const asked = freshName(request.workDir);
    await mkdir(request.workDir, { recursive: true });
    await carryOn(tree, ctx);
    const previous = earlier.filter(({ whole }) => whole).at(-1);
    const links = [...(previous ? [previous.path] : []), ...partials.slice(-PARTIALS)];
    try {
      await copy({ repo, request, tree, links, checksum: suspect }, asked, ctx);
      const listed = await list(tree, asked, previous, join(dir, `${id}.tmp`), ctx);
      await ctx.run('sync', ['-f', tree]);
      const gone = await withdraw(dir, id);
      await rename(listed.file, listOf(dir, id));
      await rename(tree, join(dir, id));
      await syncDirectory(dir);
      const consistency = consistencyOf(manifest.databases);
      const snapshot = {
        ...{ id, captureId, runId, siteId, kind, capturedAt },
        ...{ storedAt: new Date().toISOString(), complete: true, bytes: listed.bytes },
        ...(consistency ? { consistency } : {}),
      };
      const mark: Mark = {
        ...{ schema: 1, complete: true, listSha256: listed.sha256, entries: listed.entries },
        ...{ sourceFiles: listed.files, sourceBytes: listed.bytes, host: manifest.host, site: manifest.site, snapshot },
      };
      await writeDurable(markOf(dir, id), `${JSON.stringify(mark, null, 2)}\n`);
      for (const path of [...partials, ...(gone ? [gone] : [])]) await removeTree(path, ctx);
      if (suspect) await rm(join(dir, SUSPECT), { force: true });
      const { bytes, files, addedBytes } = listed;
      return { snapshot: { ...snapshot, repository: repo.name }, bytes, files, addedBytes };
    } catch (error) {
      // Unfinished trees are kept for the next attempt, but not at the price of the disk.
      if (isFailure(error, 'DiskFull'))
        for (const path of [tree, ...partials]) await removeTree(path, ctx).catch(() => {});
      throw error;
    } finally {
      await clearLeftovers(dir, ctx).catch(() => {});
      await rm(asked, { force: true });
    }
  });
}

/**
 * Goes on with the tree of an earlier attempt. What that one has linked to older trees is linked again: rsync would change
 * owner and mode of such a file in place, and with it the older tree's.
 */
async function carryOn(tree: string, ctx: Context): Promise<void> {
  if (await exists(tree)) {
    ctx.note(`carried on with what an earlier attempt had copied to ${basename(tree)}`);
    await ctx.run('find', [tree, '!', '-type', 'd', '-links', '+1', '-delete']);
  }
  await mkdir(tree, { recursive: true, mode: 0o700 });
}

interface Listed {
  file: string;
  sha256: string;
  entries: number;
  files: number;
  bytes: number;
  addedBytes: number;
}

/**
 * Lists what was asked for as it lies in the tree, with the SHA-256 of each file: read back from this disk, or known of the
 * tree before where it is the same inode. Sorted on disk, so that memory stays flat.
 */
async function list(
  tree: string,
  asked: string,
  previous: Tree | undefined,
  temp: string,
  ctx: Context,
): Promise<Listed> {
  await mkdir(temp, { recursive: true, mode: 0o700 });
  const [plain, file] = [join(temp, 'list'), join(temp, 'list.gz')];
  async function* found(): AsyncGenerator<string> {
    for await (const entry of together(linesOf(asked), (key) => look(tree, pathOf(key))))
      if (entry) yield lineOf(entry);
  }
  await writeLines(plain, found());
  await ctx.run('sort', ['-u', '-o', plain, plain], { env: { LC_ALL: 'C', TMPDIR: temp } });
  const sum = { entries: 0, files: 0, bytes: 0, addedBytes: 0 };
  /** Each line, with what the tree before says of the same path. */
  async function* joined(): AsyncGenerator<[Entry, Entry | undefined]> {
    const known = previous && linesOf(previous.list);
    let old = await known?.next();
    for await (const line of linesOf(plain)) {
      while (old && !old.done && before(old.value, line)) old = await known?.next();
      yield [entryOf(line), old && !old.done && samePath(old.value, line) ? entryOf(old.value) : undefined];
    }
  }
  async function* hashed(): AsyncGenerator<string> {
    for await (const entry of together(joined(), async ([now, was]): Promise<Entry> => {
      if (now.type !== 'f') return now;
      const same = was?.inode === now.inode && was.size === now.size && was.mtimeMs === now.mtimeMs;
      if (!same) sum.addedBytes += now.size;
      return { ...now, sha256: (same && was.sha256) || (await hashOf(tree, now.path, ctx, now.size)) };
    })) {
      sum.entries++;
      if (entry.type !== 'd') sum.files++;
      sum.bytes += entry.size;
      if (sum.entries % 1000 === 0) ctx.beat({ files: sum.files });
      yield lineOf(entry);
    }
  }
  await writeLines(file, hashed());
  return { file, sha256: await sha256Of(file), ...sum };
}
