import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Context } from '../contracts.js';

/** An object; its name is relative to the location, with slashes. */
export interface StoredObject {
  name: string;
  bytes: number;
  mtimeMs: number;
}

/** Where objects lie: a directory, or a bucket. */
export interface Store {
  /** Throws RepositoryNotMounted, RepositoryUnreachable, RepositoryDenied, RepositoryMissing. */
  list(ctx: Context): Promise<StoredObject[]>;
  /** The lines of all JSON objects below a prefix, in any order. */
  texts(prefix: string, ctx: Context): Promise<string[]>;
  /** Whole or not at all, and durable on return. `workDir` may take what is sealed already, never what is not. */
  put(name: string, content: Readable, workDir: string, ctx: Context): Promise<{ sha256: string; bytes: number }>;
  /** Reads one object; the work fails where the store does. */
  read<T>(name: string, use: (content: Readable) => Promise<T>, ctx: Context): Promise<T>;
  remove(names: readonly string[], ctx: Context): Promise<void>;
  /** Makes the place for objects. */
  make(ctx: Context): Promise<void>;
}

/** Writes a stream to a new file of mode 0600, fsynced, and tells what it was. */
export async function writeHashed(
  path: string,
  content: Readable,
  ctx: Context,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  const disk = await open(path, 'wx', 0o600);
  let bytes = 0;
  try {
    for await (const chunk of content as AsyncIterable<Buffer>) {
      ctx.signal.throwIfAborted();
      hash.update(chunk);
      await disk.appendFile(chunk);
      bytes += chunk.length;
      ctx.beat({ bytes });
    }
    await disk.sync();
  } finally {
    await disk.close();
  }
  return { sha256: hash.digest('hex'), bytes };
}
