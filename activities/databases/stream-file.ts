import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Context } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';

/** What went into a file. */
export interface Written {
  bytes: number;
  sha256: string;
  /** Its last bytes, at most 4 KB, as Latin-1. */
  tail: string;
}

const TAIL = 4096;

/**
 * Streams a program's output into a file of mode 0600, durable on return; `run` is given what to pass as `onStdout`. What lay there goes
 * first, and nothing is left of a failure. Throws DiskFull where the disk is.
 */
export async function streamFile(
  target: string,
  ctx: Context,
  run: (onStdout: (stdout: Readable) => Promise<void>) => Promise<unknown>,
): Promise<Written> {
  await rm(target, { force: true });
  const hash = createHash('sha256');
  let bytes = 0;
  let tail = Buffer.alloc(0);
  const watch = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      bytes += chunk.length;
      tail = Buffer.concat([tail, chunk.subarray(-TAIL)]).subarray(-TAIL);
      ctx.beat({ bytes });
      done(null, chunk);
    },
  });
  await run((stdout) =>
    pipeline(stdout, watch, createWriteStream(target, { mode: 0o600, flags: 'wx', flush: true })),
  ).catch(async (error) => {
    await rm(target, { force: true });
    throw (error as NodeJS.ErrnoException).code === 'ENOSPC' ? ctx.fail('DiskFull', 'the disk is full') : error;
  });
  await syncDirectory(dirname(target));
  return { bytes, sha256: hash.digest('hex'), tail: tail.toString('latin1') };
}
