import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, deflateSync } from 'node:zlib';
import { type Kind, placeOf } from '../../activities/checks/mediagit-format.js';

/*
 * Writes MediaGit repositories as the program leaves them, by the formats that the real sets in ../shared/fixtures show: encoded
 * objects, chunks with their manifest, deltas, refs, an annotated tag, reflog and index.
 */

const FIXTURES = fileURLToPath(new URL('../../../shared/fixtures/mediagit/', import.meta.url));
/** Why tests on the real sets are left out. */
export const NO_MEDIAGIT_FIXTURES = existsSync(FIXTURES) ? false : 'no fixtures at ../shared/fixtures/mediagit';

/** Unpacks a real set (`project-ok`) below `dir`; it becomes `dir/.mediagit`. */
export async function unpackSet(set: string, dir: string): Promise<string> {
  await mkdir(dir, { recursive: true });
  execFileSync('tar', ['-xzf', join(FIXTURES, `${set}.tar.gz`), '-C', dir]);
  return join(dir, '.mediagit');
}

export const fixture = (name: string): string => join(FIXTURES, name);

export type Form = 'raw' | 'zstd' | 'brotli' | 'zlib';

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex');
const bytes = (id: string): Buffer => Buffer.from(id, 'hex');

export function number(value: number): Buffer {
  const out: number[] = [];
  for (let left = value; ; left = Math.floor(left / 128)) {
    out.push(left >= 128 ? (left % 128) | 0x80 : left);
    if (left < 128) return Buffer.from(out);
  }
}

const text = (value: string): Buffer => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);

function encoded(data: Buffer, form: Form): Buffer {
  if (form === 'raw') return Buffer.concat([Buffer.from([0]), data]);
  if (form === 'brotli') return Buffer.concat([Buffer.from('BRT\x01', 'latin1'), brotliCompressSync(data)]);
  if (form === 'zlib') return deflateSync(data);
  return execFileSync('zstd', ['-cq'], { input: data, maxBuffer: 1e9 });
}

/** A delta that keeps the common start and writes the rest out. */
export function delta(base: Buffer, target: Buffer): Buffer {
  let same = 0;
  while (same < base.length && same < target.length && base[same] === target[same]) same++;
  const ops = [Buffer.from([0x80]), number(0), number(same)];
  for (let at = same; at < target.length; at += 127) {
    const piece = target.subarray(at, at + 127);
    ops.push(Buffer.from([piece.length]), piece);
  }
  return Buffer.concat([number(base.length), number(target.length), ...ops]);
}

export interface Made {
  git: string;
  /** Where `ab/cd/…` lie. */
  store: string;
  put: (data: Buffer, form?: Form) => Promise<string>;
  /** As chunks of `size` with their manifest. */
  putChunked: (data: Buffer, size: number, form?: Form) => Promise<string>;
  /** Both as a delta of something that is there: of an object, or of a chunk. */
  putDelta: (kind: 'delta' | 'chunk-delta', base: Buffer, target: Buffer) => Promise<string>;
  /** A commit of these files (path → id). */
  commit: (files: Record<string, string>, parents?: string[], message?: string) => Promise<string>;
  ref: (name: string, id: string) => Promise<void>;
  path: (kind: Kind, id: string) => string;
}

/** An empty repository at `git`; `layout` is that of `init`, or of a clone. */
export async function makeRepository(git: string, layout: 'init' | 'clone' = 'init'): Promise<Made> {
  const store = layout === 'init' ? join(git, 'objects/objects') : join(git, 'objects');
  for (const dir of [store, 'refs/heads', 'refs/tags', 'refs/remotes', 'logs/refs/heads'])
    await mkdir(dir === store ? store : join(git, dir), { recursive: true });
  await writeFile(join(git, 'HEAD'), 'ref: refs/heads/main\n');
  await writeFile(join(git, 'index'), JSON.stringify({ entries: {}, deleted_entries: [], version: 1 }));
  const storage = `[storage]\nbackend = "filesystem"\nbase_path = "${join(git, 'objects')}"\ncreate_dirs = true\n\n`;
  const remotes = '[remotes.origin]\nurl = "http://127.0.0.1:9/project"\n\n[branches]\n';
  await writeFile(
    join(git, 'config.toml'),
    `[app]\nname = "mediagit"\n\n${layout === 'init' ? storage : ''}${remotes}`,
  );
  const path = (kind: Kind, id: string) => join(store, placeOf(kind, id));
  const write = async (at: string, data: Buffer | string) => {
    await mkdir(dirname(at), { recursive: true });
    await writeFile(at, data);
  };
  const putAs = async (kind: Kind, data: Buffer, form: Form) => {
    const id = sha256(data);
    await write(path(kind, id), encoded(data, form));
    return id;
  };
  let seconds = 1_795_255_142;
  const made: Made = {
    git,
    store,
    path,
    put: (data, form = 'raw') => putAs('object', data, form),
    putChunked: async (data, size, form = 'raw') => {
      const chunks: Buffer[] = [];
      for (let at = 0; at < data.length; at += size) {
        const piece = data.subarray(at, at + size);
        const id = await putAs('chunk', piece, form);
        chunks.push(bytes(id), number(at), number(piece.length), number(0), number(17));
      }
      const count = number(Math.ceil(data.length / size));
      const manifest = Buffer.concat([count, ...chunks, number(data.length), Buffer.from([1]), text('clip.mov')]);
      await write(path('manifest', sha256(data)), manifest);
      return sha256(data);
    },
    putDelta: async (kind, base, target) => {
      const id = sha256(target);
      await write(path(kind, id), encoded(delta(base, target), 'zstd'));
      await write(`${path(kind, id)}.meta`, `base:${sha256(base)}`);
      return id;
    },
    commit: async (files, parents = [], message = 'a commit') => {
      const entries = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
      const lines = entries.flatMap(([name, id]) => [text(name), text(name), number(0), bytes(id)]);
      const tree = await putAs('object', Buffer.concat([number(entries.length), ...lines]), 'zstd');
      const who = [text('Editor'), text('e@example.invalid'), text(new Date(seconds++ * 1000).toISOString())];
      const parts = [bytes(tree), number(parents.length), ...parents.map(bytes), ...who, ...who, text(message)];
      return putAs('object', Buffer.concat(parts), 'brotli');
    },
    ref: async (name, id) => {
      await write(join(git, name), `${id}\n`);
      if (!name.startsWith('refs/heads/')) return;
      const line = `${'0'.repeat(64)} ${id} Editor <e@example.invalid> ${seconds} +0000\tcommit: ${name}\n`;
      await write(join(git, 'logs', name), line);
    },
  };
  return made;
}

/** Content that compresses badly and is the same each time. */
export function noise(length: number, seed: string): Buffer {
  const pieces: Buffer[] = [];
  let last = Buffer.from(seed);
  for (let have = 0; have < length; have += 32) {
    last = createHash('sha256').update(last).digest();
    pieces.push(last);
  }
  return Buffer.concat(pieces).subarray(0, length);
}

export interface Sample extends Made {
  main: string;
  grade: string;
  /** A commit that no branch has any more; the reflog remembers it. */
  scrap: string;
  /** Path → id of the files of main. */
  files: Record<string, string>;
  /** Content of both chunked files. */
  clip: Buffer;
  cut: Buffer;
}

/** A small repository with everything in it: two branches, tags, a chunked file, deltas of both kinds, a deleted branch. */
export async function sampleRepository(git: string, layout: 'init' | 'clone' = 'init'): Promise<Sample> {
  const made = await makeRepository(git, layout);
  const clip = noise(300_000, 'clip');
  const cut = Buffer.concat([clip.subarray(0, 130_000), noise(10_000, 'cut'), clip.subarray(140_000)]);
  const old = noise(50_000, 'bin');
  const notes = Buffer.from('first take\n'.repeat(200));
  const files: Record<string, string> = {
    'clip.mov': await made.putChunked(clip, 70_000),
    'mid.bin': await made.put(old),
    'notes.txt': await made.put(notes, 'zstd'),
    'page.html': await made.put(Buffer.from('<p>hello</p>'.repeat(50)), 'brotli'),
    'old.txt': await made.put(Buffer.from('kept by zlib '.repeat(90)), 'zlib'),
  };
  const first = await made.commit(files);
  files['mid-2.bin'] = await made.putDelta('delta', old, Buffer.concat([old, Buffer.from('and more')]));
  // A second cut, whose middle chunk is kept as a delta of the first one's alone.
  const cutId = await made.putChunked(cut, 70_000);
  const [before, after] = [clip.subarray(70_000, 140_000), cut.subarray(70_000, 140_000)];
  await rm(made.path('chunk', await made.putDelta('chunk-delta', before, after)));
  files['clip-2.mov'] = cutId;
  const main = await made.commit(files, [first]);
  const grade = await made.commit({ ...files, 'grade.txt': await made.put(Buffer.from('graded')) }, [main]);
  const scrap = await made.commit({ 'scrap.txt': await made.put(Buffer.from('an idea')) }, [main]);
  await made.ref('refs/heads/scrap', scrap);
  await made.ref('refs/heads/main', main);
  await made.ref('refs/heads/grade', grade);
  await made.ref('refs/tags/light', main);
  await made.ref('refs/tags/v1.0', main);
  await writeFile(join(git, 'refs/tags/v1.0.meta'), JSON.stringify({ tag_name: 'v1.0', commit_oid: main }));
  await rm(join(git, 'refs/heads/scrap'));
  return { ...made, main, grade, scrap, files, clip, cut };
}
