import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines, sha256Of, sortFile, writeLines } from '../capture/lines.js';
import { freshDir } from '../capture/workdir.js';
import type { BackupRequest, Context, Stored } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { archiveId } from './archive-mark.js';
import { codeOf } from './location.js';
import { held, lacking, remove, upload } from './rclone-content.js';
import { itemOf, joined, lineOf, lookAt, NONE, unb64 } from './rclone-list.js';
import { beginStore } from './rclone-locks.js';
import { type Mark, put, putText, removeFiles, SAFE, SITES } from './rclone-mark.js';
import { assertSources, sourcesOf, walk } from './walk.js';

/** A file that changes all the time is taken as it was the last time. */
const LOOKS = 3;

/** Stores a capture: content that is not there yet, then the list of all files, and the mark last. */
export async function backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored> {
  await assertSources(request, ctx);
  const { manifest, runId, kind, workDir } = request;
  const { siteId, captureId, capturedAt } = manifest;
  const id = archiveId(capturedAt, captureId);
  if (!SAFE.test(siteId) || !SAFE.test(id))
    throw ctx.fail('InvalidConfig', `the site id ${siteId} cannot name an object`, {
      advice: 'use letters, digits, . _ -',
    });
  const dir = await freshDir(workDir);
  try {
    const list = join(dir, 'list.txt');
    const sum = await describe(repo, request, dir, list, ctx);
    const wanted = join(dir, 'wanted.txt');
    await writeLines(wanted, contentOf(list));
    await sortFile(wanted, ctx);
    await ctx.run('sort', ['-u', '-s', '-t', '\t', '-k1,1', '-o', wanted, wanted], {
      env: { LC_ALL: 'C', TMPDIR: dir },
    });
    const pending = await beginStore(repo, captureId, dir, ctx);
    const addedBytes = await bring(repo, wanted, dir, ctx);
    const base = `${SITES}/${siteId}/${id}`;
    const [listed, attributes] = [join(dir, 'list.gz'), join(dir, 'xattr.gz')];
    await pipeline(createReadStream(list), createGzip(), createWriteStream(listed, { mode: 0o600 }));
    await attributesOf(list, attributes, ctx);
    // The same capture again takes the place of the old one, whose mark must not speak of the new list.
    await removeFiles(repo, [`${base}.json`], ctx);
    await put(repo, `${base}.list.gz`, listed, ctx);
    await put(repo, `${base}.xattr.gz`, attributes, ctx);
    const snapshot = {
      ...{ id, captureId, runId, siteId, kind, capturedAt },
      ...{ storedAt: new Date().toISOString(), complete: true, bytes: sum.bytes },
    };
    const mark: Mark = {
      ...{ schema: 1, list: await sha256Of(listed), xattr: await sha256Of(attributes) },
      ...{ files: sum.files, bytes: sum.bytes, host: manifest.host, site: manifest.site, snapshot },
    };
    await putText(repo, `${base}.json`, `${JSON.stringify(mark, null, 2)}\n`, dir, ctx);
    await removeFiles(repo, [pending], ctx);
    return { snapshot: { ...snapshot, repository: repo.name }, ...sum, addedBytes };
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** Uploads what lacks, and sees that it is there then: a prune of another site may have gone on meanwhile. */
async function bring(repo: RepositorySpec, wanted: string, dir: string, ctx: Context): Promise<number> {
  const have = join(dir, 'have.txt');
  await held(repo, have, ctx);
  let bytes = 0;
  const sent = join(dir, 'sent.txt');
  await writeLines(sent, lacking(wanted, have));
  async function* files(): AsyncGenerator<[string, Buffer]> {
    for await (const line of readLines(sent)) {
      const [hash = '', size, path = ''] = line.split('\t');
      bytes += Number(size);
      yield [hash, unb64(path)];
    }
  }
  const count = await upload(repo, files(), dir, ctx);
  const changed: string[] = [];
  for await (const line of readLines(sent)) {
    const [hash = '', , path = '', mark] = line.split('\t');
    if ((await lookAt(unb64(path)))?.mark !== mark) changed.push(hash);
  }
  // Its bytes may be other ones than its name says.
  if (changed.length > 0) await remove(repo, changed, dir, ctx);
  if (count > 0) await held(repo, have, ctx);
  for await (const _ of lacking(wanted, have))
    throw ctx.fail('SnapshotIncomplete', `files changed or went while they were stored in ${repo.name}`);
  return bytes;
}

/** Content of a list: `<hash> <size> <path> <mark>`; one line of each file. */
async function* contentOf(list: string): AsyncGenerator<string> {
  for await (const line of readLines(`${list}.marks`)) yield line;
}

/** Writes the list, sorted. What has not changed since the last time has the hash that it had. */
async function describe(
  repo: RepositorySpec,
  request: BackupRequest,
  dir: string,
  list: string,
  ctx: Context,
): Promise<{ files: number; bytes: number }> {
  const now = join(dir, 'now.txt');
  const roots = await sourcesOf(request, ctx);
  async function* found() {
    for (const root of roots)
      for await (const { path } of walk(root, request.exclude)) {
        const seen = await lookAt(path);
        if (seen) yield `${seen.item.path}\t${seen.mark}`;
        ctx.beat();
      }
  }
  await writeLines(now, unreadable(repo, found(), ctx));
  await sortFile(now, ctx);
  const cache = join(request.workDir, `hashes-${request.manifest.siteId}.txt`);
  await (await open(cache, 'a', 0o600)).close();
  const [fresh, marks] = [join(dir, 'fresh.txt'), `${list}.marks`];
  const sum = { files: 0, bytes: 0 };
  const links = new Map<string, string>();
  const [freshOut, marksOut] = [createWriteStream(fresh, { mode: 0o600 }), createWriteStream(marks, { mode: 0o600 })];
  async function* lines() {
    for await (const [line, known] of joined(readLines(now), readLines(cache))) {
      const [, mark, hash] = known?.split('\t') ?? [];
      const file = await hashed(unb64(line.slice(0, line.indexOf('\t'))), mark, hash, ctx);
      if (!file) continue;
      const { item, stats } = file;
      const inode = `${stats.dev} ${stats.ino}`;
      if (item.type === 'f' && stats.nlink > 1n) {
        item.same = links.get(inode) ?? NONE;
        if (item.same === NONE) links.set(inode, item.path);
      }
      if (item.type !== 'd') sum.files++;
      sum.bytes += item.size;
      if (item.hash !== NONE) {
        freshOut.write(`${item.path}\t${file.mark}\t${item.hash}\n`);
        marksOut.write(`${item.hash}\t${item.size}\t${item.path}\t${file.mark}\n`);
      }
      yield lineOf(item);
    }
  }
  await writeLines(list, unreadable(repo, lines(), ctx));
  await Promise.all([freshOut, marksOut].map((out) => new Promise((done) => out.end(done))));
  await rename(fresh, cache);
  return sum;
}

async function hashed(path: Buffer, mark: string | undefined, hash: string | undefined, ctx: Context) {
  for (let look = 1; ; look++) {
    const before = await lookAt(path);
    if (before?.item.type !== 'f' || before.item.size === 0) return before;
    if (hash !== undefined && before.mark === mark) return { ...before, item: { ...before.item, hash } };
    const made = createHash('sha256');
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      ctx.signal.throwIfAborted();
      made.update(piece as Buffer);
      ctx.beat();
    }
    const after = await lookAt(path);
    if (!after) return undefined;
    if (after.mark === before.mark || look >= LOOKS)
      return { ...after, item: { ...after.item, hash: made.digest('hex') } };
  }
}

/** A file that cannot be read makes no snapshot; one that went meanwhile is passed over. */
async function* unreadable(repo: RepositorySpec, lines: AsyncIterable<string>, ctx: Context): AsyncGenerator<string> {
  try {
    yield* lines;
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') throw ctx.fail('SnapshotIncomplete', `a file went while it was read for ${repo.name}`);
    if (code !== undefined && ['EACCES', 'EPERM', 'EIO', 'EINVAL'].includes(code))
      throw ctx.fail('SnapshotIncomplete', `some of the source cannot be read for ${repo.name}`, {
        details: { places: [(error as { path?: string }).path ?? ''] },
      });
    throw error;
  }
}

/** Extended attributes and ACLs of all that is in the list, as `setfattr --restore` takes them; paths without the first slash. */
async function attributesOf(list: string, target: string, ctx: Context): Promise<void> {
  if (!findProgram('getfattr')) {
    ctx.note('the program getfattr is not installed: extended attributes and ACLs are not stored');
    await pipeline(Readable.from([]), createGzip(), createWriteStream(target, { mode: 0o600 }));
    return;
  }
  async function* paths() {
    for await (const line of readLines(list))
      yield Buffer.concat([unb64(itemOf(line).path).subarray(1), Buffer.from([0])]);
  }
  await ctx.run('xargs', ['-0', '-r', 'getfattr', '-h', '-d', '-m', '-', '-e', 'base64', '--'], {
    cwd: '/',
    input: Readable.from(paths()),
    // 123: some went meanwhile.
    ok: [0, 123],
    onStdout: (stdout) => pipeline(stdout, createGzip(), createWriteStream(target, { mode: 0o600 })),
  });
}
