import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';

/**
 * Objects of Seafile's libraries (facts 2.2): each lies below its kind and library by its SHA-1, written once. A block is
 * named by its bytes as they lie (ciphertext, where the library is encrypted), so no key is needed to check it.
 */
export type Kind = 'commits' | 'fs' | 'blocks';

/** An empty file or directory: it has no object. */
export const EMPTY = '0'.repeat(40);
/** More is no directory or file that Seafile writes; unpacking it must not take the machine down. */
const MOST_FS_BYTES = 1 << 30;

const unpack = promisify(inflate);

export const isObjectId = (id: unknown): id is string => typeof id === 'string' && /^[0-9a-f]{40}$/.test(id);
export const isLibraryId = (id: unknown): id is string => typeof id === 'string' && /^[0-9a-f-]{36}$/.test(id);

export function objectPath(storage: string, kind: Kind, store: string, id: string): string {
  return join(storage, kind, store, id.slice(0, 2), id.slice(2));
}

/** What an object says, or what is wrong with it: `is missing`. */
export type Read<T> = { is: T; problem?: undefined } | { is?: undefined; problem: string };

export interface Commit {
  root: string;
  parents: string[];
  /** Seconds since 1970. */
  ctime: number;
}

interface CommitJson {
  commit_id?: unknown;
  repo_id?: unknown;
  root_id?: unknown;
  creator?: unknown;
  creator_name?: string | null;
  description?: string | null;
  ctime?: unknown;
  parent_id?: unknown;
  second_parent_id?: unknown;
}

/** A commit is named by five of its fields; its parents are not among them, so that they are only known to lead somewhere. */
export async function readCommit(path: string, library: string, id: string): Promise<Read<Commit>> {
  const bytes = await bytesOf(path);
  if (typeof bytes === 'string') return { problem: bytes };
  const json = parsed<CommitJson>(bytes);
  if (!json || !isObjectId(json.root_id) || !Number.isSafeInteger(json.ctime)) return { problem: 'is no commit' };
  if (json.commit_id !== id || json.repo_id !== library) return { problem: 'is the commit of another name or library' };
  if (!commitIds(json).includes(id)) return { problem: 'holds other bytes than its name says' };
  const parents = [json.parent_id, json.second_parent_id].filter((each) => each !== null && each !== undefined);
  if (!parents.every(isObjectId)) return { problem: 'has a parent that is no commit id' };
  return { is: { root: json.root_id, parents, ctime: json.ctime as number } };
}

/** Seafile reads the creator in lower case, and hashes what it had when it wrote. */
function commitIds({ root_id, creator, creator_name, description, ctime }: CommitJson): string[] {
  const time = Buffer.alloc(8);
  time.writeBigInt64BE(BigInt(ctime as number));
  const name = creator_name ?? undefined;
  return [...new Set([name, name?.toLowerCase()])].map((by) =>
    createHash('sha1')
      .update(`${root_id}\0${creator}\0${by === undefined ? '' : `${by}\0`}${description ?? ''}\0`)
      .update(time)
      .digest('hex'),
  );
}

export interface FsObject {
  /** fs objects in this directory, and blocks of this file. */
  entries: string[];
  blocks: string[];
}

export async function readFs(path: string, id: string): Promise<Read<FsObject>> {
  const bytes = await bytesOf(path);
  if (typeof bytes === 'string') return { problem: bytes };
  const text = await unpack(bytes, { maxOutputLength: MOST_FS_BYTES }).catch(() => undefined);
  if (!text || createHash('sha1').update(text).digest('hex') !== id)
    return { problem: 'holds other bytes than its name says' };
  const json = parsed<{ type?: number; block_ids?: unknown[]; dirents?: { id?: unknown }[] }>(text);
  const entries = (json?.type === 3 && json.dirents?.map((dirent) => dirent.id)) || [];
  const blocks = (json?.type === 1 && json.block_ids) || [];
  if (![1, 3].includes(json?.type ?? 0) || ![...entries, ...blocks].every(isObjectId))
    return { problem: 'is neither a file nor a directory' };
  const real = (ids: unknown[]) => (ids as string[]).filter((each) => each !== EMPTY);
  return { is: { entries: real(entries), blocks: real(blocks) } };
}

export async function sha1Of(path: string): Promise<string> {
  const hash = createHash('sha1');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

async function bytesOf(path: string): Promise<Buffer | string> {
  return readFile(path).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? 'is missing' : `cannot be read (${error.code})`,
  );
}

function parsed<T>(bytes: Buffer): T | undefined {
  try {
    const value = JSON.parse(bytes.toString('utf8')) as T | null;
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
