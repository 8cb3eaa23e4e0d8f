import { createReadStream, createWriteStream } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import type { FileSetEntry } from '../../src/core/manifest.js';
import type { FileSetSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { attributesOf as listOf } from './layout.js';
import { readLines, sha256Of, sortFile, writeLines } from './lines.js';
import { places } from './places.js';
import { matcher } from './walk.js';

type Source = Pick<FileSetSpec, 'name' | 'root' | 'include' | 'exclude'>;

/** Extended attributes of one entry, ACLs among them, as getfattr tells them. */
export interface Attributed {
  /** Below the set's root, escaped as getfattr does it. */
  path: string;
  /** Sorted `name=0x…`, joined by blanks. */
  values: string;
}

/** So many places to one call: an argument list has an end. */
const BATCH = 200;

/**
 * Every entry of a tree that has extended attributes or ACLs, as getfattr finds them: streamed, one program for many files. Those of
 * symbolic links are left out: only the kernel's own (overlay, SELinux) can be there, and restic 0.14 does not keep them (facts/tools).
 */
export async function eachAttributed(
  source: Omit<Source, 'name'>,
  take: (found: Attributed) => void,
  ctx: Context,
): Promise<void> {
  const wanted = matcher(source);
  const all = (await places(source)).map((path) => path || '.');
  for (let i = 0; i < all.length; i += BATCH) {
    let path: string | undefined;
    let values: string[] = [];
    const args = [
      '-R',
      '-P',
      '-h',
      '-d',
      '-m',
      '-',
      '-e',
      'hex',
      '--',
      ...all.slice(i, i + BATCH).map((at) => `./${at}`),
    ];
    await ctx.run('getfattr', args, {
      cwd: source.root,
      // 1: something vanished meanwhile, or the file system has no attributes.
      ok: [0, 1],
      onLine: (line) => {
        if (line.startsWith('# file: ')) {
          // A tab ends the path in our lists, and getfattr does not escape it.
          path = relative('.', line.slice('# file: '.length).replaceAll('\t', '\\011')) || '.';
          values = [];
        } else if (line !== '') values.push(line);
        else if (path !== undefined) {
          ctx.beat();
          if (path === '.' || wanted(unescaped(path))) take({ path, values: values.sort().join(' ') });
          path = undefined;
        }
      },
    });
  }
}

/** Lists the attributes of a set below a capture, so that a restore test can compare them. */
export async function writeAttributes(
  source: Source,
  dir: string,
  ctx: Context,
): Promise<NonNullable<FileSetEntry['attributes']>> {
  const file = listOf(source.name);
  const plain = join(dir, `${file}.plain`);
  let entries = 0;
  await writeSorted(source, plain, () => entries++, ctx);
  await pipeline(
    createReadStream(plain),
    createGzip(),
    createWriteStream(join(dir, file), { mode: 0o600, flush: true }),
  );
  await rm(plain);
  return { file, sha256: await sha256Of(join(dir, file)), entries };
}

/** Sorted lines of path, time and values; a directory has no time, as each new entry in it changes that one. */
export async function writeSorted(
  source: Omit<Source, 'name'>,
  file: string,
  count: () => void,
  ctx: Context,
): Promise<void> {
  const raw = createWriteStream(file, { mode: 0o600 });
  await eachAttributed(source, ({ path, values }) => raw.write(`${path}\t${values}\n`), ctx);
  await new Promise<void>((done, failed) => raw.on('error', failed).end(done));
  async function* timed(): AsyncGenerator<string> {
    for await (const line of readLines(file)) {
      const [path = '', values = ''] = line.split('\t');
      const stats = await lstat(join(source.root, unescaped(path))).catch(() => undefined);
      if (!stats || stats.isSymbolicLink()) continue;
      count();
      yield `${path}\t${stats.isDirectory() ? '-' : Math.trunc(stats.mtimeMs)}\t${values}`;
    }
  }
  await writeLines(`${file}.timed`, timed());
  await rm(file);
  await sortFile(`${file}.timed`, ctx);
  await pipeline(createReadStream(`${file}.timed`), createWriteStream(file, { mode: 0o600, flush: true }));
  await rm(`${file}.timed`);
}

/** Unpacks a list of attributes. */
export async function unpackAttributes(from: string, to: string): Promise<void> {
  await pipeline(createReadStream(from), createGunzip(), createWriteStream(to, { mode: 0o600 }));
}

/** A backslash and what would break a line stand as three octal digits. */
export function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
