import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished, pipeline } from 'node:stream/promises';
import type { Context } from '../contracts.js';

/** Writes lines as they come up, with back-pressure. */
export function lineWriter(path: string) {
  const out = createWriteStream(path, { mode: 0o600 });
  return {
    async put(line: string): Promise<void> {
      if (!out.write(`${line}\n`)) await once(out, 'drain');
    },
    async end(): Promise<void> {
      out.end();
      await finished(out);
    },
  };
}

const env = (scratch: string) => ({ LC_ALL: 'C', TMPDIR: scratch });

/** Sorts a file of lines in place, each line once; on disk, so that millions need no memory. */
export async function sortUnique(path: string, scratch: string, ctx: Context): Promise<void> {
  await ctx.run('sort', ['-u', '-o', path, path], { env: env(scratch) });
}

/** Of the sorted lines of `path`, those that `seen` does not hold yet; `seen` holds them afterwards. Returns their file. */
export async function unseen(path: string, seen: string, scratch: string, ctx: Context): Promise<string> {
  const fresh = join(scratch, 'fresh');
  await ctx.run('comm', ['-23', path, seen], {
    env: env(scratch),
    onStdout: (stdout) => pipeline(stdout, createWriteStream(fresh, { mode: 0o600 })),
  });
  await ctx.run('sort', ['-m', '-u', '-o', seen, seen, fresh], { env: env(scratch) });
  return fresh;
}
