import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines, sortFile, writeLines } from '../capture/lines.js';
import type { Context } from '../contracts.js';
import { joined } from './rclone-list.js';
import { pathIn, rclone } from './rclone-remote.js';

/** Where the bytes of files lie, each once: `content/ab/<SHA-256>`. */
export const CONTENT = 'content';
export const nameOf = (hash: string): string => `${hash.slice(0, 2)}/${hash}`;

/** `<hash>\t<size>` of all that the repository holds, sorted. What has another size than its like elsewhere was cut off. */
export async function held(repo: RepositorySpec, file: string, ctx: Context): Promise<void> {
  const args = ['lsf', '-R', '--files-only', '--format', 'ps', '--separator', '\t', pathIn(repo, CONTENT, ctx)];
  const write = async (stdout: Readable) => {
    await writeLines(
      file,
      map(createInterface({ input: stdout }), (line) => line.slice(line.indexOf('/') + 1)),
    );
  };
  // 3: nothing has been stored yet.
  await rclone(repo, args, { ok: [0, 3], onStdout: write }, ctx);
  await sortFile(file, ctx);
}

/** Of the wanted (`<hash>\t<size>…`, sorted, once each) those that are not there in full. */
export async function* lacking(wanted: string, have: string): AsyncGenerator<string> {
  for await (const [want, got] of joined(readLines(wanted), readLines(have)))
    if (got?.split('\t')[1] !== want.split('\t')[1]) yield want;
}

/** Uploads `[hash, path of the file]`: rclone reads through links that are called as the content shall be. */
export async function upload(
  repo: RepositorySpec,
  files: AsyncIterable<[hash: string, path: Buffer]>,
  dir: string,
  ctx: Context,
): Promise<number> {
  const tree = join(dir, 'upload');
  await rm(tree, { recursive: true, force: true });
  await mkdir(tree, { recursive: true });
  let count = 0;
  const shards = new Set<string>();
  for await (const [hash, path] of files) {
    const shard = join(tree, hash.slice(0, 2));
    if (!shards.has(shard)) await mkdir(shard);
    shards.add(shard);
    await symlink(path, join(shard, hash));
    count++;
  }
  // What an attempt that was killed left may have the same time.
  const options = ['--copy-links', '--ignore-times', '--transfers', '8'];
  if (count > 0) await rclone(repo, ['copy', tree, pathIn(repo, CONTENT, ctx), ...options], {}, ctx);
  await rm(tree, { recursive: true, force: true });
  return count;
}

/** Fetches content below `target` as `ab/<hash>`. */
export async function download(
  repo: RepositorySpec,
  hashes: AsyncIterable<string>,
  target: string,
  dir: string,
  ctx: Context,
): Promise<void> {
  const names = join(dir, 'names.txt');
  const count = await writeLines(names, map(hashes, nameOf));
  await mkdir(target, { recursive: true, mode: 0o700 });
  const args = [
    'copy',
    pathIn(repo, CONTENT, ctx),
    target,
    '--files-from-raw',
    names,
    '--no-traverse',
    '--transfers',
    '8',
  ];
  if (count > 0) await rclone(repo, args, {}, ctx);
}

/** Hashes that are not what their names say, and whether all were read. The remote's own sums are not asked: the bytes are read. */
export async function wrong(
  repo: RepositorySpec,
  hashes: AsyncIterable<string>,
  dir: string,
  ctx: Context,
): Promise<{ bad: string[]; all: boolean }> {
  const names = join(dir, 'names.txt');
  const count = await writeLines(names, map(hashes, nameOf));
  if (count === 0) return { bad: [], all: true };
  const bad: string[] = [];
  let seen = 0;
  const at = pathIn(repo, CONTENT, ctx);
  await rclone(
    repo,
    ['hashsum', 'sha256', at, '--download', '--files-from-raw', names],
    {
      ok: [0, 1],
      onLine: (line) => {
        const [, hash, name] = /^(\S+) +[0-9a-f]{2}\/([0-9a-f]{64})$/.exec(line) ?? [];
        if (name === undefined) return;
        seen++;
        if (hash !== name) bad.push(name);
      },
    },
    ctx,
  );
  return { bad, all: seen === count };
}

/** Removes content by its hash. */
export async function remove(
  repo: RepositorySpec,
  hashes: readonly string[],
  dir: string,
  ctx: Context,
): Promise<void> {
  if (hashes.length === 0) return;
  const names = join(dir, 'remove.txt');
  await writeFile(names, `${hashes.map(nameOf).join('\n')}\n`);
  await rclone(repo, ['delete', pathIn(repo, CONTENT, ctx), '--files-from-raw', names], {}, ctx);
}

async function* map(items: AsyncIterable<string>, change: (item: string) => string): AsyncGenerator<string> {
  for await (const item of items) yield change(item);
}
