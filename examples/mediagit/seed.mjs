#!/usr/bin/env node
/**
 * Makes a MediaGit repository as the program leaves one, without the program: `node seed.mjs --dir site --mb 20`. One media file
 * in chunks with their manifest, a text, two branches, an annotated tag, the reflog, and a branch that was deleted.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { brotliCompressSync } from 'node:zlib';

const { values } = parseArgs({
  options: { dir: { type: 'string', default: 'site' }, mb: { type: 'string', default: '20' } },
});
const git = resolve(values.dir, '.mediagit');
const CHUNK = 4 << 20;

const sha256 = (data) => createHash('sha256').update(data).digest('hex');
const bytes = (id) => Buffer.from(id, 'hex');
const number = (value) => {
  const out = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    out.push(left >= 128 ? (left % 128) | 0x80 : left);
    if (left < 128) return Buffer.from(out);
  }
};
const text = (value) => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);

function write(path, data) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
}
const place = (name) => join(git, 'objects/objects', name.slice(0, 2), name.slice(2, 4), name);

/** Named by the hash of what it says; stored raw behind a zero byte, or as brotli behind `BRT` and a one. */
function put(data, prefix = '', small = false) {
  const id = sha256(data);
  const [mark, body] = small ? [Buffer.from('BRT\x01', 'latin1'), brotliCompressSync(data)] : [Buffer.from([0]), data];
  write(place(prefix + id), Buffer.concat([mark, body]));
  return id;
}

function putChunked(data, name) {
  const parts = [number(Math.ceil(data.length / CHUNK))];
  for (let at = 0; at < data.length; at += CHUNK) {
    const piece = data.subarray(at, at + CHUNK);
    parts.push(bytes(put(piece, 'chunks__')), number(at), number(piece.length), number(0), number(17));
  }
  write(
    place(`manifests__${sha256(data)}`),
    Buffer.concat([...parts, number(data.length), Buffer.from([1]), text(name)]),
  );
  return sha256(data);
}

let second = 0;
function commit(files, parents, message) {
  const entries = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = entries.flatMap(([name, id]) => [text(name), text(name), number(0), bytes(id)]);
  const tree = put(Buffer.concat([number(entries.length), ...lines]), '', true);
  const who = [
    text('Editor'),
    text('editor@example.invalid'),
    text(new Date(1_795_255_142_000 + second++ * 1000).toISOString()),
  ];
  return put(
    Buffer.concat([bytes(tree), number(parents.length), ...parents.map(bytes), ...who, ...who, text(message)]),
    '',
    true,
  );
}

function ref(name, id) {
  write(join(git, name), `${id}\n`);
  write(
    join(git, 'logs', name),
    `${'0'.repeat(64)} ${id} Editor <editor@example.invalid> 1795255142 +0000\tcommit: ${name}\n`,
  );
}

const clip = randomBytes(Number(values.mb) * 1_000_000);
const files = {
  'clip.mov': putChunked(clip, 'clip.mov'),
  'notes.txt': put(Buffer.from('first takes\n'.repeat(100)), '', true),
};
const first = commit(files, [], 'first takes');
const main = commit({ ...files, 'shots/a.bin': put(randomBytes(50_000)) }, [first], 'add shots');
const grade = commit({ ...files, 'grade.txt': put(Buffer.from('graded\n')) }, [main], 'grade notes');
const scrap = commit({ 'scrap.txt': put(Buffer.from('an idea\n')) }, [main], 'scrapped idea');
for (const [name, id] of Object.entries({ main, grade, scrap })) ref(`refs/heads/${name}`, id);
rmSync(join(git, 'refs/heads/scrap'));
write(join(git, 'refs/tags/v1.0'), `${main}\n`);
write(join(git, 'refs/tags/v1.0.meta'), JSON.stringify({ tag_name: 'v1.0', commit_oid: main, message: 'first cut' }));
write(join(git, 'HEAD'), 'ref: refs/heads/main\n');
write(join(git, 'index'), JSON.stringify({ entries: {}, deleted_entries: [], version: 1 }));
write(
  join(git, 'config.toml'),
  `[storage]\nbackend = "filesystem"\nbase_path = "${join(git, 'objects')}"\n\n[remotes]\n`,
);
console.log(`${values.dir}: main ${main.slice(0, 8)}, grade ${grade.slice(0, 8)}, deleted scrap ${scrap}`);
