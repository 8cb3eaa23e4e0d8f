// Reads and writes bbolt files as far as the stand-in needs them: top-level buckets of one page each.
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE = 4096;
const [LEAF, META, FREELIST] = [0x02, 0x04, 0x10];

/** The checksum of a meta page: FNV-1a, 64 bits. */
function fnv1a(bytes) {
  let hash = 0xcbf29ce484222325n;
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash;
}

function page(id, flags, count, body) {
  const pages = Math.max(1, Math.ceil((16 + body.length) / PAGE));
  const made = Buffer.alloc(pages * PAGE);
  made.writeBigUInt64LE(BigInt(id), 0);
  made.writeUInt16LE(flags, 8);
  made.writeUInt16LE(count, 10);
  made.writeUInt32LE(pages - 1, 12);
  body.copy(made, 16);
  return made;
}

function leaf(id, entries, flag) {
  const sorted = [...entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const heads = Buffer.alloc(sorted.length * 16);
  const data = [];
  let at = heads.length;
  sorted.forEach(([name, value], i) => {
    const key = Buffer.from(name);
    heads.writeUInt32LE(flag, i * 16);
    // Counted from this very element on.
    heads.writeUInt32LE(at - i * 16, i * 16 + 4);
    heads.writeUInt32LE(key.length, i * 16 + 8);
    heads.writeUInt32LE(value.length, i * 16 + 12);
    data.push(key, value);
    at += key.length + value.length;
  });
  return page(id, LEAF, sorted.length, Buffer.concat([heads, ...data]));
}

/** Writes `{ bucket: [[key, value], …] }`, at most 65,000 keys each, in place: whoever has it locked keeps it so. */
export function writeBolt(path, buckets) {
  const pages = [];
  let next = 3;
  const roots = Object.entries(buckets).map(([name, entries]) => {
    const made = leaf(
      next,
      entries.map(([key, value]) => [key, Buffer.from(value)]),
      0,
    );
    const root = Buffer.alloc(16);
    root.writeBigUInt64LE(BigInt(next));
    pages.push(made);
    next += made.length / PAGE;
    return [name, root];
  });
  const root = leaf(next, roots, 1);
  const end = next + root.length / PAGE;
  const meta = (n) => {
    const body = Buffer.alloc(64);
    body.writeUInt32LE(0xed0cdaed, 0);
    body.writeUInt32LE(2, 4);
    body.writeUInt32LE(PAGE, 8);
    body.writeBigUInt64LE(BigInt(next), 16);
    body.writeBigUInt64LE(2n, 32);
    body.writeBigUInt64LE(BigInt(end), 40);
    body.writeBigUInt64LE(BigInt(2 + n), 48);
    body.writeBigUInt64LE(fnv1a(body.subarray(0, 56)), 56);
    return page(n, META, 0, body);
  };
  const file = Buffer.concat([meta(0), meta(1), page(2, FREELIST, 0, Buffer.alloc(0)), ...pages, root]);
  writeFileSync(path, file, { mode: 0o600 });
}

/** What `writeBolt` wrote: `{ bucket: [[key, value], …] }`, values as buffers. Throws where it is no bbolt file. */
export function readBolt(path) {
  const file = readFileSync(path);
  if (file.length < 2 * PAGE || file.readUInt32LE(16) !== 0xed0cdaed) throw new Error('invalid database');
  const entries = (id) => {
    const at = Number(id) * PAGE;
    return Array.from({ length: file.readUInt16LE(at + 10) }, (_, i) => {
      const head = at + 16 + i * 16;
      const key = head + file.readUInt32LE(head + 4);
      const value = key + file.readUInt32LE(head + 8);
      return [file.toString('utf8', key, value), file.subarray(value, value + file.readUInt32LE(head + 12))];
    });
  };
  const buckets = entries(file.readBigUInt64LE(16 + 16));
  return Object.fromEntries(buckets.map(([name, root]) => [name, entries(root.readBigUInt64LE(0))]));
}
