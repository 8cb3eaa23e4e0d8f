import { createHash } from 'node:crypto';
import { createReadStream, type Dirent } from 'node:fs';
import { lstat, open, opendir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createInflate } from 'node:zlib';
import type { Context } from '../contracts.js';
import { applyDelta, encodingOf, type Kind, kindOf, parseBase, placeOf } from './mediagit-format.js';

/** One file of an object store. */
export interface Stored {
  path: string;
  kind: Kind;
  id: string;
}

/** A delta leads to its base, which may be one; longer chains are a circle. */
const LONGEST_CHAIN = 200;
/** Programs get so many files at once. */
const BATCH = 200;

/**
 * Reads the objects of a MediaGit repository, in both of its layouts: `objects/objects/ab/cd` as `init` makes it, and
 * `objects/ab/cd` of a clone. Content is streamed; only what describes other objects (and a delta with its base) is held whole.
 */
export class ObjectStore {
  private constructor(private readonly roots: string[]) {}

  static async open(objects: string): Promise<ObjectStore> {
    const inner = join(objects, 'objects');
    const isDirectory = (await lstat(inner).catch(() => undefined))?.isDirectory() === true;
    return new ObjectStore(isDirectory ? [inner, objects] : [objects]);
  }

  /** Where it lies, or would by rights. */
  async find(kind: Kind, id: string): Promise<{ path: string; there: boolean }> {
    const paths = this.roots.map((root) => join(root, placeOf(kind, id)));
    for (const path of paths) if ((await lstat(path).catch(() => undefined))?.isFile()) return { path, there: true };
    return { path: paths[0]!, there: false };
  }

  /** All files of these kinds. */
  async *files(kinds: readonly Kind[]): AsyncGenerator<Stored> {
    for (const root of this.roots)
      for await (const first of entries(root))
        for await (const second of first.name.length === 2 ? entries(join(root, first.name)) : [])
          for await (const { name } of entries(join(root, first.name, second.name))) {
            const known = kindOf(name);
            if (known && kinds.includes(known.kind))
              yield { path: join(root, first.name, second.name, name), ...known };
          }
  }

  /** How many pack files there are: MediaGit's own format, which only it reads. */
  async packs(): Promise<number> {
    let count = 0;
    for (const root of this.roots)
      for (const dir of [join(root, 'packs'), join(root, '..', 'packs')])
        for await (const { name } of entries(dir)) if (name.endsWith('.pack')) count++;
    return count;
  }

  /** A whole object or chunk, also one that is kept as a delta. Throws where it is missing or cannot be made. */
  async content(kind: 'object' | 'chunk', id: string, ctx: Context, depth = 0): Promise<Buffer> {
    const whole = await this.find(kind, id);
    if (whole.there) return read({ path: whole.path, kind, id }, ctx);
    const asDelta = kind === 'chunk' ? 'chunk-delta' : 'delta';
    const { path, there } = await this.find(asDelta, id);
    const base = there ? await this.base(asDelta, id) : undefined;
    if (base === undefined || depth > LONGEST_CHAIN) throw new RangeError('has no base');
    return applyDelta(await this.content(kind, base, ctx, depth + 1), await read({ path, kind: asDelta, id }, ctx));
  }

  /** What a delta is one of; undefined where its `.meta` does not say. */
  async base(kind: 'delta' | 'chunk-delta', id: string): Promise<string | undefined> {
    const { path } = await this.find(kind, id);
    return parseBase(await readFile(`${path}.meta`, 'utf8').catch(() => ''));
  }
}

async function* entries(dir: string): AsyncGenerator<Dirent> {
  const found = await opendir(dir).catch(() => undefined);
  for await (const entry of found ?? []) yield entry;
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Decodes a file into `sink`, piece by piece. Throws where it cannot be decoded. */
export async function decode(
  { path, kind }: Pick<Stored, 'path' | 'kind'>,
  sink: (piece: Buffer) => void,
  ctx: Context,
): Promise<void> {
  const { encoding, skip } = encodingOf(await headOf(path), kind);
  const take = async (pieces: AsyncIterable<unknown>) => {
    for await (const piece of pieces) {
      ctx.signal.throwIfAborted();
      sink(piece as Buffer);
      ctx.beat();
    }
  };
  if (encoding === 'zstd') {
    const { exitCode } = await ctx.run('zstd', ['-dcq', '--', path], { ok: [0, 1], onStdout: take });
    if (exitCode !== 0) throw new RangeError('is no zstd frame');
    return;
  }
  const file = createReadStream(path, { start: skip, highWaterMark: 1 << 20 });
  if (encoding === 'plain') await take(file);
  else await pipeline(file, encoding === 'brotli' ? createBrotliDecompress() : createInflate(), take);
}

/** SHA-256 of the decoded content; undefined where it cannot be decoded. */
export async function hashOf(stored: Pick<Stored, 'path' | 'kind'>, ctx: Context): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    await decode(stored, (piece) => hash.update(piece), ctx);
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (mayPass(error)) throw error;
    return undefined;
  }
  return hash.digest('hex');
}

export async function read(stored: Stored, ctx: Context): Promise<Buffer> {
  const pieces: Buffer[] = [];
  await decode(stored, (piece) => pieces.push(piece), ctx);
  return Buffer.concat(pieces);
}

/** A lacking program or a read that failed says nothing of the object. */
function mayPass(error: unknown): boolean {
  const { type, code } = error as { type?: string; code?: string };
  return type !== undefined || ['EIO', 'EMFILE', 'ENFILE', 'ENOMEM', 'EACCES', 'EPERM'].includes(code ?? '');
}

/**
 * The hash of each file, and its decoded content where `whole`. zstd has no module in Node 20, and a run of the program for each of a
 * million small files would take hours: a shell feeds it many.
 */
export async function* hashes(
  files: AsyncIterable<Stored> | Iterable<Stored>,
  whole: boolean,
  ctx: Context,
): AsyncGenerator<Stored & { hash?: string; data?: Buffer }> {
  let batch: Stored[] = [];
  const flush = async function* () {
    const lines: string[] = [];
    if (batch.length > 0)
      await ctx.run('sh', ['-c', whole ? CONTENT : HASH, 'sh', ...batch.map(({ path }) => path)], {
        onLine: (line) => {
          lines.push(line);
          ctx.beat();
        },
      });
    for (const [i, stored] of batch.entries()) {
      const line = lines[i] ?? '';
      if (whole) yield { ...stored, ...hashed(Buffer.from(line, 'base64')) };
      else yield { ...stored, hash: line.slice(0, 64) };
    }
    batch = [];
  };
  for await (const stored of Readable.from(files)) {
    const { path, kind } = stored as Stored;
    const head = await headOf(path).catch(() => undefined);
    ctx.signal.throwIfAborted();
    if (head === undefined) yield stored;
    else if (encodingOf(head, kind).encoding === 'zstd') {
      batch.push(stored);
      if (batch.length >= BATCH) yield* flush();
    } else if (whole) {
      const data = await read(stored, ctx).catch((error) => {
        ctx.signal.throwIfAborted();
        if (mayPass(error)) throw error;
        return undefined;
      });
      yield { ...stored, ...(data ? hashed(data) : {}) };
    } else {
      const hash = await hashOf(stored, ctx);
      yield { ...stored, ...(hash ? { hash } : {}) };
    }
  }
  yield* flush();
}

/** A program that somebody killed in the middle of a pipe must not pass for a damaged object: the shell goes with it, and the step is tried again. */
const decoded = (into: string): string =>
  `{ zstd -dcq -- "$f" 2>/dev/null || [ $? -lt 128 ] || kill -KILL $$; } | ${into} || kill -KILL $$`;
const HASH = `for f; do ${decoded('sha256sum')}; done`;
const CONTENT = `for f; do ${decoded('base64 -w 0')}; echo; done`;

function hashed(data: Buffer): { hash: string; data: Buffer } {
  return { hash: createHash('sha256').update(data).digest('hex'), data };
}
