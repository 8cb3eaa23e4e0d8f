import { createReadStream } from 'node:fs';
import {
  chmod,
  chown,
  copyFile,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { createGunzip } from 'node:zlib';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines, sha256Of, sortFile, writeLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { CONTENT, download, nameOf } from './rclone-content.js';
import { gunzipped, type Item, itemOf, lineOf, NONE, unb64 } from './rclone-list.js';
import { fetchList, type Mark } from './rclone-mark.js';

const root = process.getuid?.() === 0;

/** Restores a snapshot, or the paths asked for, below `target`. Each content is held against its name before it is put in place. */
export async function restore(
  repo: RepositorySpec,
  mark: Mark,
  target: string,
  paths: readonly string[] | undefined,
  ctx: Context,
): Promise<void> {
  const dir = join(target, `.holdfast-${mark.snapshot.id}`);
  await mkdir(dir, { mode: 0o700 });
  try {
    const { list, xattr } = await fetchList(repo, mark, dir, ctx);
    const chosen = join(dir, 'chosen.txt');
    await writeLines(chosen, choose(list, paths));
    const byHash = join(dir, 'by-hash.txt');
    await writeLines(byHash, content(chosen));
    await sortFile(byHash, ctx);
    await download(repo, unique(byHash), join(dir, CONTENT), dir, ctx);
    const at = (path: string) => Buffer.concat([Buffer.from(target), unb64(path)]);
    for await (const item of items(chosen)) await make(item, at, ctx);
    await fill(repo, byHash, join(dir, CONTENT), at, ctx);
    for await (const item of items(chosen))
      if (item.type === 'f' && item.same !== NONE) await link(at(item.same), at(item.path));
    await attributes(xattr, paths, target, dir, ctx);
    for await (const item of items(chosen)) await dress(item, at);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function* items(file: string): AsyncGenerator<Item> {
  for await (const line of readLines(file)) yield itemOf(line);
}

/** A hard link whose first name is not asked for is a file of its own. */
async function* choose(list: string, paths: readonly string[] | undefined): AsyncGenerator<string> {
  const wanted = paths?.map((path) => Buffer.from(path.replace(/\/+$/, '')));
  const within = (path: Buffer) =>
    wanted === undefined ||
    wanted.some((one) => path.equals(one) || path.subarray(0, one.length + 1).equals(Buffer.concat([one, SLASH])));
  for await (const line of gunzipped(list)) {
    const item = itemOf(line);
    if (!within(unb64(item.path))) continue;
    yield item.same !== NONE && !within(unb64(item.same)) ? lineOf({ ...item, same: NONE }) : line;
  }
}
const SLASH = Buffer.from('/');

async function* content(chosen: string): AsyncGenerator<string> {
  for await (const { hash, same, path, sparse } of items(chosen))
    if (hash !== NONE && same === NONE) yield `${hash}\t${path}\t${sparse ? 1 : 0}`;
}

async function* unique(byHash: string): AsyncGenerator<string> {
  let last = '';
  for await (const line of readLines(byHash)) {
    const hash = line.slice(0, 64);
    if (hash !== last) yield hash;
    last = hash;
  }
}

async function make(
  { path, type, target, hash, same }: Item,
  at: (path: string) => Buffer,
  ctx: Context,
): Promise<void> {
  const place = at(path);
  ctx.beat();
  await mkdir(type === 'd' ? place : place.subarray(0, place.lastIndexOf('/')), { recursive: true });
  if (type === 'l') await symlink(unb64(target), place);
  else if (type === 'f' && hash === NONE && same === NONE) await writeFile(place, '');
  else if (type === 'o' && target !== NONE) await special(place, unb64(target).toString(), ctx);
}

/** A pipe, or (as root) a device. What cannot be made is missed by whoever holds the tree against the manifest. */
async function special(place: Buffer, what: string, ctx: Context): Promise<void> {
  const name = place.toString();
  // A name that is no UTF-8 cannot be an argument of ours.
  if (Buffer.from(name).equals(place)) await ctx.run('mknod', ['--', name, ...what.split(' ')], { ok: [0, 1] });
}

/** The last file of each content gets it by a rename, the others by a copy. */
async function fill(
  repo: RepositorySpec,
  byHash: string,
  dir: string,
  at: (path: string) => Buffer,
  ctx: Context,
): Promise<void> {
  let last: { hash: string; path: string; sparse: boolean } | undefined;
  const place = async (more: boolean) => {
    if (!last) return;
    const from = join(dir, nameOf(last.hash));
    if (more) await copyFile(from, at(last.path));
    else await rename(from, at(last.path));
    if (last.sparse) await dig(at(last.path), ctx);
  };
  for await (const line of readLines(byHash)) {
    const [hash = '', path = '', sparse] = line.split('\t');
    await place(last?.hash === hash);
    if (last?.hash !== hash && (await sha256Of(join(dir, nameOf(hash))).catch(() => undefined)) !== hash)
      throw ctx.fail('RepositoryDamaged', `content in ${repo.name} is missing or damaged`, {
        details: { places: [hash] },
      });
    last = { hash, path, sparse: sparse === '1' };
    ctx.beat();
  }
  await place(false);
}

/** Holes come back where the file system can. */
async function dig(path: Buffer, ctx: Context): Promise<void> {
  const name = path.toString();
  // A name that is no UTF-8 cannot be an argument of ours: it stays without holes.
  if (!Buffer.from(name).equals(path) || !findProgram('fallocate')) return;
  await ctx.run('fallocate', ['--dig-holes', '--', name], { ok: [0, 1] });
}

async function attributes(
  xattr: string,
  paths: readonly string[] | undefined,
  target: string,
  dir: string,
  ctx: Context,
): Promise<void> {
  const file = join(dir, 'xattr.txt');
  let bytes = 0;
  async function* chosen() {
    let wanted = true;
    for await (const line of withEmpty(xattr)) {
      const name = /^# file: (.*)$/.exec(line)?.[1];
      if (name !== undefined) {
        const path = `/${name.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))}`;
        wanted = paths === undefined || paths.some((one) => path === latin(one) || path.startsWith(`${latin(one)}/`));
      }
      if (wanted) yield line;
      bytes += line.length;
    }
  }
  await writeLines(file, chosen());
  if (bytes === 0) return;
  const { exitCode } = await ctx.run('setfattr', ['-h', `--restore=${file}`], { cwd: target, ok: [0, 1] });
  if (exitCode !== 0) ctx.note('some extended attributes could not be set here');
}

const latin = (text: string): string => Buffer.from(text).toString('latin1');

/** Lines with the empty ones: they part the files. */
async function* withEmpty(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const piece of createReadStream(path).pipe(createGunzip())) {
    const lines = (rest + (piece as Buffer).toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest) yield rest;
}

/** Owners, modes and times last: all that came before would change them. */
async function dress({ path, type, mode, uid, gid, mtimeNs }: Item, at: (path: string) => Buffer): Promise<void> {
  const place = at(path);
  const seconds = Number(mtimeNs) / 1e9;
  if (type === 'l') {
    if (root) await lchown(place, uid, gid);
    await lutimes(place, seconds, seconds);
  } else if (type !== 'o' || (await lstat(place).catch(() => undefined))) {
    if (root) await chown(place, uid, gid);
    await chmod(place, mode);
    await utimes(place, seconds, seconds);
  }
}
