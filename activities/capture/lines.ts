import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import type { Context } from '../contracts.js';

/** A write for each line of a million would cost more than the lines do. */
const CHUNK = 1 << 16;

/** Writes text lines as they come, without holding them; returns how many. */
export async function writeLines(path: string, lines: AsyncIterable<string>): Promise<number> {
  const out = createWriteStream(path, { mode: 0o600, flush: true });
  const done = finished(out);
  // It may fail while the next line is waited for; who writes then learns of it.
  done.catch(() => {});
  let count = 0;
  let chunk = '';
  try {
    for await (const line of lines) {
      count++;
      chunk += `${line}\n`;
      if (chunk.length < CHUNK) continue;
      if (!out.write(chunk)) await Promise.race([once(out, 'drain'), done]);
      chunk = '';
    }
  } finally {
    out.end(chunk);
  }
  await done;
  return count;
}

export async function* readLines(path: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line !== '') yield line;
  }
}

/** Sorts a file of lines bytewise in place: on disk and beside it, so that millions of lines need no memory and leave its directory never. */
export async function sortFile(path: string, ctx: Context): Promise<void> {
  await ctx.run('sort', ['-o', path, path], { env: { LC_ALL: 'C', TMPDIR: dirname(path) } });
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
