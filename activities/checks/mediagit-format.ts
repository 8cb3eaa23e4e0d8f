/**
 * MediaGit's formats, pure. An object's name is the SHA-256 of its decoded content; `manifests__<id>` is named by the hash of
 * the file that its chunks make up. Measured on a repository of 0.2.6-beta.1.
 */
export type Kind = 'object' | 'manifest' | 'chunk' | 'delta' | 'chunk-delta';

const PREFIX: Record<Kind, string> = {
  object: '',
  manifest: 'manifests__',
  chunk: 'chunks__',
  delta: 'deltas__',
  'chunk-delta': 'chunk-deltas__',
};
const NAME = /^(manifests__|chunks__|deltas__|chunk-deltas__)?([0-9a-f]{64})$/;

/** Sharded by the first letters of its whole name: `ab/cd/abcd…`, `ch/un/chunks__…`. */
export function placeOf(kind: Kind, id: string): string {
  const name = PREFIX[kind] + id;
  return `${name.slice(0, 2)}/${name.slice(2, 4)}/${name}`;
}

/** What a file of the store is by its name; undefined for what a killed `add` left (`….tmp5`) and for a delta's `.meta`. */
export function kindOf(name: string): { kind: Kind; id: string } | undefined {
  const [, prefix = '', id] = NAME.exec(name) ?? [];
  const kind = (Object.keys(PREFIX) as Kind[]).find((each) => PREFIX[each] === prefix);
  return id && kind ? { kind, id } : undefined;
}

export type Encoding = 'plain' | 'zstd' | 'brotli' | 'zlib';

/** How a file is encoded by its first bytes, and how many of them are a mark that is no content. Manifests are never encoded. */
export function encodingOf(head: Buffer, kind: Kind): { encoding: Encoding; skip: number } {
  if (kind === 'manifest') return { encoding: 'plain', skip: 0 };
  if (head[0] === 0) return { encoding: 'plain', skip: 1 };
  if (head.subarray(0, 4).equals(ZSTD)) return { encoding: 'zstd', skip: 0 };
  if (head.subarray(0, 4).equals(BROTLI)) return { encoding: 'brotli', skip: 4 };
  if (head[0] === 0x78 && head.length > 1 && head.readUInt16BE(0) % 31 === 0) return { encoding: 'zlib', skip: 0 };
  return { encoding: 'plain', skip: 0 };
}
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const BROTLI = Buffer.from('BRT\x01', 'latin1');

/** Reads postcard: LEB128 numbers, length before text, fixed arrays as they are. Throws RangeError beyond its end. */
class Reader {
  private at = 0;
  constructor(private readonly data: Buffer) {}

  get done(): boolean {
    return this.at >= this.data.length;
  }
  bytes(length: number): Buffer {
    if (this.at + length > this.data.length) throw new RangeError('ends too early');
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
  number(): number {
    let [value, scale] = [0, 1];
    for (;;) {
      const byte = this.bytes(1)[0]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
      if (scale > Number.MAX_SAFE_INTEGER) throw new RangeError('is no number');
    }
  }
  id(): string {
    return this.bytes(32).toString('hex');
  }
  text(): string {
    return this.bytes(this.number()).toString();
  }
}

export function parseCommit(data: Buffer): { tree: string; parents: string[] } {
  const reader = new Reader(data);
  const tree = reader.id();
  return { tree, parents: repeat(reader, () => reader.id()) };
}

export interface TreeEntry {
  path: string;
  /** 0 file, 1 executable, 2 symbolic link, 3 directory. */
  mode: number;
  id: string;
}

/** Each entry names its path twice: as key and as name. */
export function parseTree(data: Buffer): TreeEntry[] {
  const reader = new Reader(data);
  return repeat(reader, () => {
    const path = reader.text();
    reader.text();
    return { path, mode: reader.number(), id: reader.id() };
  });
}

export function parseManifest(data: Buffer): { chunks: { id: string; size: number }[]; size: number } {
  const reader = new Reader(data);
  const chunks = repeat(reader, () => {
    const [id, , size] = [reader.id(), reader.number(), reader.number()];
    // Type and hint.
    reader.number();
    reader.number();
    return { id, size };
  });
  return { chunks, size: reader.number() };
}

function repeat<T>(reader: Reader, read: () => T): T[] {
  const items: T[] = [];
  for (let left = reader.number(); left > 0; left--) items.push(read());
  return items;
}

/** What a decoded delta makes of its base: both sizes, then copies (offset, length) and literals of up to 127 bytes. */
export function applyDelta(base: Buffer, delta: Buffer): Buffer {
  const reader = new Reader(delta);
  const [baseSize, size] = [reader.number(), reader.number()];
  if (base.length !== baseSize) throw new RangeError('is a delta of something else');
  const pieces: Buffer[] = [];
  while (!reader.done) {
    const op = reader.bytes(1)[0]!;
    if (op < 0x80) pieces.push(reader.bytes(op));
    else {
      const [from, length] = [reader.number(), reader.number()];
      if (from + length > base.length) throw new RangeError('copies from beyond its base');
      pieces.push(base.subarray(from, from + length));
    }
  }
  const made = Buffer.concat(pieces);
  if (made.length !== size) throw new RangeError('makes another size than it says');
  return made;
}

/** `base:<id>`, in the `.meta` beside a delta. */
export function parseBase(text: string): string | undefined {
  return /^base:\s*([0-9a-f]{64})\s*$/.exec(text)?.[1];
}

/** A ref's file: an id, or the name of another ref. */
export function parseRef(text: string): { id?: string; to?: string } {
  const to = /^ref: (\S+)\s*$/.exec(text)?.[1];
  const id = /^([0-9a-f]{64})\s*$/.exec(text)?.[1];
  return { ...(to ? { to } : {}), ...(id ? { id } : {}) };
}

/** The commits that a line of the reflog leads to: `<old> <new> who when\tmessage`. */
export function parseReflog(line: string): string | undefined {
  return /^[0-9a-f]{64} ([0-9a-f]{64}) /.exec(line)?.[1];
}
