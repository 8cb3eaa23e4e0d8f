import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';

/*
 * Libraries as Seafile writes them: blocks by the SHA-1 of their bytes, fs objects as compressed JSON by the SHA-1 of the
 * text, commits as JSON by the SHA-1 of five of their fields.
 */

const EMPTY = '0'.repeat(40);

const sha1 = (...parts) => {
  const hash = createHash('sha1');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

/** JSON as Jansson's json_dumps writes it: sorted keys, a space after each comma and colon. */
function dumps(value) {
  if (Array.isArray(value)) return `[${value.map(dumps).join(', ')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}: ${dumps(value[key])}`).join(', ')}}`;
}

const objectPath = (storage, kind, store, id) => join(storage, kind, store, id.slice(0, 2), id.slice(2));

/** One library's objects. A virtual library has commits of its own, and its origin's store for all else. */
export class Library {
  constructor(storage, id, store = id) {
    this.storage = storage;
    this.id = id;
    this.store = store;
  }

  #put(kind, id, bytes) {
    const path = objectPath(this.storage, kind, kind === 'commits' ? this.id : this.store, id);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    return id;
  }

  block(bytes) {
    return this.#put('blocks', sha1(bytes), bytes);
  }

  #fs(value) {
    const text = dumps(value);
    return this.#put('fs', sha1(text), deflateSync(text));
  }

  /** A file of these pieces; an empty one is not stored. */
  file(...pieces) {
    if (pieces.length === 0) return EMPTY;
    const size = pieces.reduce((sum, piece) => sum + Buffer.byteLength(piece), 0);
    return this.#fs({ block_ids: pieces.map((piece) => this.block(piece)), size, type: 1, version: 1 });
  }

  dir(...entries) {
    if (entries.length === 0) return EMPTY;
    const dirents = entries.map(({ name, id, dir, size = 0 }) => ({
      id,
      mode: dir ? 16384 : 33188,
      mtime: 1_700_000_000,
      name,
      ...(dir ? {} : { modifier: 'ann@example.org', size }),
    }));
    return this.#fs({ dirents, type: 3, version: 1 });
  }

  commit({ root, ctime, parent = null, secondParent = null, encrypted = false, ...more }) {
    const { creatorName = 'ann@example.org', description = 'Added "a file"' } = more;
    const time = Buffer.alloc(8);
    time.writeBigInt64BE(BigInt(ctime));
    const by = creatorName === null ? '' : `${creatorName}\0`;
    const id = sha1(`${root}\0${EMPTY}\0${by}${description ?? ''}\0`, time);
    const fields = {
      commit_id: id,
      root_id: root,
      repo_id: this.id,
      creator_name: creatorName,
      creator: EMPTY,
      description,
      ctime,
      parent_id: parent,
      second_parent_id: secondParent,
      repo_name: 'Library',
      repo_desc: '',
      repo_category: null,
      ...(encrypted ? { encrypted: 'true', enc_version: 2, magic: 'ab'.repeat(32), key: 'cd'.repeat(48) } : {}),
      version: 1,
    };
    return this.#put('commits', id, dumps(fields));
  }
}
