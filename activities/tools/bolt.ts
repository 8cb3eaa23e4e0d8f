import { type FileHandle, open } from 'node:fs/promises';

/**
 * A reader of bbolt files of our own (https://github.com/etcd-io/bbolt, format 2): both meta pages, every page that is
 * reachable, and the free list. The application's own checker waits for ever on a file that is in use, and is seldom installed.
 */

/** What is wrong with a file, and where: `page 12 is not a leaf`. */
export class NoBolt extends Error {}

const MAGIC = 0xed0cdaed;
const VERSION = 2;
const HEADER = 16;
const META_BYTES = 64;
const [BRANCH, LEAF, META, FREELIST] = [0x01, 0x02, 0x04, 0x10];
const BUCKET = 0x01;
/** A database may keep its free list in memory alone. */
const NO_FREELIST = 0xffffffffffffffffn;

interface Meta {
  pageSize: number;
  root: bigint;
  freelist: bigint;
  /** One more than the last page in use. */
  pages: number;
  txid: bigint;
}

export interface BoltFacts {
  /** Keys per bucket, with those of the buckets inside it. Buckets themselves are no keys. */
  buckets: Record<string, number>;
  txid: bigint;
  pageSize: number;
}

export type OnKey = (bucket: string, key: Buffer, value: Buffer) => void;

/** Whether a file begins as a bbolt file does. */
export async function looksLikeBolt(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (!file) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEADER + 4), 0, HEADER + 4, 0);
    return bytesRead === HEADER + 4 && buffer.readUInt32LE(HEADER) === MAGIC;
  } finally {
    await file.close();
  }
}

/** Reads a file that nobody writes, through. Throws NoBolt where any page of it is not as it must be. */
export async function readBolt(path: string, onKey: OnKey = () => {}, beat: () => void = () => {}): Promise<BoltFacts> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const meta = await metaOf(file, size);
    if (size < meta.pages * meta.pageSize)
      throw new NoBolt(`it is cut: ${size} bytes, and its pages end at ${meta.pages * meta.pageSize}`);
    const walk = new Walk(file, meta, onKey, beat);
    await walk.bucket(meta.root, '');
    await walk.freelist();
    walk.everyPage();
    return { buckets: walk.buckets, txid: meta.txid, pageSize: meta.pageSize };
  } finally {
    await file.close();
  }
}

/** Both must be whole: the older one alone is the state before the last commit, and an application starts with it all the same. */
async function metaOf(file: FileHandle, size: number): Promise<Meta> {
  const first = await read(file, 0, HEADER + META_BYTES);
  // Where the first is broken, the other one is looked for where the usual page sizes have it.
  const told = first.length === HEADER + META_BYTES ? first.readUInt32LE(HEADER + 8) : 0;
  const pageSize = told >= 1024 && told <= 65536 && (told & (told - 1)) === 0 ? told : 4096;
  const metas: Meta[] = [];
  for (const n of [0, 1]) {
    const page = await read(file, n * pageSize, HEADER + META_BYTES);
    metas.push(parseMeta(page, n, size));
  }
  const [a, b] = metas as [Meta, Meta];
  return a.txid > b.txid ? a : b;
}

function parseMeta(page: Buffer, n: number, size: number): Meta {
  if (page.length < HEADER + META_BYTES) throw new NoBolt(`it is cut: ${size} bytes`);
  const meta = page.subarray(HEADER);
  const sum = fnv1a(meta.subarray(0, META_BYTES - 8));
  if (meta.readUInt32LE(0) !== MAGIC || sum !== meta.readBigUInt64LE(META_BYTES - 8))
    throw new NoBolt(`meta page ${n} is broken`);
  if (meta.readUInt32LE(4) !== VERSION) throw new NoBolt(`meta page ${n} is of another version`);
  if ((page.readUInt16LE(8) & META) === 0) throw new NoBolt(`page ${n} is no meta page`);
  return {
    pageSize: meta.readUInt32LE(8),
    root: meta.readBigUInt64LE(16),
    freelist: meta.readBigUInt64LE(32),
    pages: Number(meta.readBigUInt64LE(40)),
    txid: meta.readBigUInt64LE(48),
  };
}

/** The checksum of a meta page: FNV-1a, 64 bits. */
export function fnv1a(bytes: Uint8Array): bigint {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

async function read(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}

/** One pass over all pages; a bit per page is all that it keeps. */
class Walk {
  readonly buckets: Record<string, number> = {};
  private readonly seen: Uint8Array;

  constructor(
    private readonly file: FileHandle,
    private readonly meta: Meta,
    private readonly onKey: OnKey,
    private readonly beat: () => void,
  ) {
    this.seen = new Uint8Array(Math.ceil(meta.pages / 8));
    this.mark(0, 1);
    this.mark(1, 1);
  }

  async bucket(root: bigint, name: string): Promise<void> {
    if (name !== '') this.buckets[name] ??= 0;
    await this.page(Number(root), name, undefined);
  }

  private async page(id: number, bucket: string, first: Buffer | undefined): Promise<void> {
    this.beat();
    const page = await this.load(id);
    const flags = page.readUInt16LE(8);
    if (flags === LEAF) return this.leaf(page, id, bucket, first);
    if (flags !== BRANCH) throw new NoBolt(`page ${id} is neither branch nor leaf`);
    const count = page.readUInt16LE(10);
    for (let i = 0; i < count; i++) {
      const at = HEADER + i * 16;
      const key = slice(page, at + page.readUInt32LE(at), page.readUInt32LE(at + 4), id);
      await this.page(Number(page.readBigUInt64LE(at + 8)), bucket, key);
    }
  }

  private async leaf(page: Buffer, id: number | string, bucket: string, first: Buffer | undefined): Promise<void> {
    const count = page.readUInt16LE(10);
    let last: Buffer | undefined;
    for (let i = 0; i < count; i++) {
      const at = HEADER + i * 16;
      if (at + 16 > page.length) throw new NoBolt(`page ${id} has more elements than room`);
      const [pos, keyBytes, valueBytes] = [
        page.readUInt32LE(at + 4),
        page.readUInt32LE(at + 8),
        page.readUInt32LE(at + 12),
      ];
      const key = slice(page, at + pos, keyBytes, id);
      const value = slice(page, at + pos + keyBytes, valueBytes, id);
      if (last ? Buffer.compare(last, key) >= 0 : first && Buffer.compare(first, key) !== 0)
        throw new NoBolt(`the keys of page ${id} are not in order`);
      last = key;
      if ((page.readUInt32LE(at) & BUCKET) !== 0) await this.inner(value, bucket || key.toString(), id);
      else if (bucket === '') throw new NoBolt(`page ${id} has a key outside of any bucket`);
      else {
        this.buckets[bucket] = (this.buckets[bucket] ?? 0) + 1;
        this.onKey(bucket, key, value);
      }
    }
  }

  /** A small bucket lies in its parent's page as a leaf of its own. */
  private async inner(value: Buffer, name: string, id: number | string): Promise<void> {
    if (value.length < 16) throw new NoBolt(`page ${id} has a bucket that is cut`);
    const root = value.readBigUInt64LE(0);
    if (root !== 0n) return this.bucket(root, name);
    this.buckets[name] ??= 0;
    const page = value.subarray(16);
    if (page.length < HEADER || page.readUInt16LE(8) !== LEAF) throw new NoBolt(`page ${id} has a bucket that is none`);
    return this.leaf(page, `${id} (in place)`, name, undefined);
  }

  async freelist(): Promise<void> {
    if (this.meta.freelist === NO_FREELIST) return;
    const id = Number(this.meta.freelist);
    const page = await this.load(id);
    if (page.readUInt16LE(8) !== FREELIST) throw new NoBolt(`page ${id} is no free list`);
    const short = page.readUInt16LE(10);
    const long = short === 0xffff;
    const count = long ? Number(page.readBigUInt64LE(HEADER)) : short;
    const from = HEADER + (long ? 8 : 0);
    if (from + count * 8 > page.length) throw new NoBolt(`page ${id} has a longer free list than room`);
    for (let i = 0; i < count; i++) this.mark(Number(page.readBigUInt64LE(from + i * 8)), 1);
  }

  /** A page that is neither in use nor free is one that something has lost. */
  everyPage(): void {
    if (this.meta.freelist === NO_FREELIST) return;
    for (let id = 0; id < this.meta.pages; id++)
      if (((this.seen[id >> 3] ?? 0) & (1 << (id & 7))) === 0) throw new NoBolt(`page ${id} is neither used nor free`);
  }

  private async load(id: number): Promise<Buffer> {
    const { pageSize, pages } = this.meta;
    if (id < 2 || id >= pages) throw new NoBolt(`page ${id} is outside of the file`);
    const head = await read(this.file, id * pageSize, HEADER);
    if (Number(head.readBigUInt64LE(0)) !== id) throw new NoBolt(`page ${id} says that it is another one`);
    const count = 1 + head.readUInt32LE(12);
    if (id + count > pages) throw new NoBolt(`page ${id} runs over the end`);
    this.mark(id, count);
    return read(this.file, id * pageSize, count * pageSize);
  }

  private mark(id: number, count: number): void {
    for (let each = id; each < id + count; each++) {
      if (each >= this.meta.pages) throw new NoBolt(`page ${each} is outside of the file`);
      const bit = 1 << (each & 7);
      if (((this.seen[each >> 3] ?? 0) & bit) !== 0) throw new NoBolt(`page ${each} is used twice`);
      this.seen[each >> 3] = (this.seen[each >> 3] ?? 0) | bit;
    }
  }
}

function slice(page: Buffer, from: number, length: number, id: number | string): Buffer {
  if (from + length > page.length) throw new NoBolt(`page ${id} has an element that is cut`);
  return page.subarray(from, from + length);
}
