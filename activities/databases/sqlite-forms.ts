import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, open, rm, stat } from 'node:fs/promises';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Dumped, Fence } from '../contracts.js';
import { holders, sqlite, sqlText } from '../tools/sqlite.js';
import { fingerprint } from './fingerprint.js';

const TRAILER = 'COMMIT;\n';

/** Bytes of a file; 0 where there is none. */
export const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;

/** What the main file alone does not hold. A journal that begins with zeros is a spent one. */
export async function assertFolded(path: string, ctx: Context): Promise<void> {
  const wal = await sizeOf(`${path}-wal`);
  if (wal > 0) {
    const who = await holders(path);
    throw ctx.fail('CheckpointBusy', `${path}-wal still holds ${formatBytes(wal)}${who && `, in use${who}`}`);
  }
  const journal = await open(`${path}-journal`).catch(() => undefined);
  if (!journal) return;
  try {
    const { bytesRead, buffer } = await journal.read(Buffer.alloc(8), 0, 8, 0);
    if (bytesRead === 8 && buffer.some((byte) => byte !== 0))
      throw ctx.fail('DatabaseLocked', `${path} has an unfinished transaction${await holders(path)}`);
  } finally {
    await journal.close();
  }
}

type Described = Pick<Dumped, 'bytes' | 'sha256' | 'fingerprint'>;

/** Copies a database file; its bytes. */
export async function dumpFile(
  path: string,
  target: string,
  online: boolean,
  fence: Fence | undefined,
  ctx: Context,
): Promise<number> {
  if (online) await vacuumInto(path, target, fence, ctx);
  else {
    const before = await sizeOf(path);
    await copyFile(path, target, fence, ctx);
    await assertFolded(path, ctx);
    const [after, copied] = [await sizeOf(path), await sizeOf(target)];
    if (copied !== after || before !== after)
      throw ctx.fail('DumpIncomplete', `the copy has ${copied} bytes, the database ${after}`);
  }
  return sizeOf(target);
}

/** Without a WAL to the copy, `frozen` sees all of it. An online text is made from a copy, so that it and its counts agree. */
export async function dumpText(
  path: string,
  target: string,
  online: boolean,
  fence: Fence | undefined,
  ctx: Context,
): Promise<Described> {
  const source = online ? `${target}.sqlite` : path;
  if (online) await vacuumInto(path, source, fence, ctx);
  try {
    const hash = createHash('sha256');
    let bytes = 0;
    let tail = '';
    const watch = new Transform({
      transform(chunk: Buffer, _, done) {
        hash.update(chunk);
        bytes += chunk.length;
        tail = (tail + chunk.subarray(-TRAILER.length).toString('latin1')).slice(-TRAILER.length);
        done(null, chunk);
      },
    });
    // `.dump` loses these; at the head they leave the trailer the last line, so that a cut text is known by its end.
    const script = [
      "SELECT printf('PRAGMA encoding=%Q;', encoding) FROM pragma_encoding;",
      "SELECT printf('PRAGMA user_version=%d;', user_version) FROM pragma_user_version;",
      "SELECT printf('PRAGMA application_id=%d;', application_id) FROM pragma_application_id;",
      '.dump',
    ].join('\n');
    const onStdout = (stdout: NodeJS.ReadableStream) =>
      pipeline(stdout, watch, createWriteStream(target, { mode: 0o600, flush: true }));
    await sqlite(source, script, { access: 'frozen', fence, onStdout }, ctx);
    if (tail !== TRAILER) throw ctx.fail('DumpIncomplete', `the text does not end with ${TRAILER.trim()}`);
    if (!online) await assertFolded(path, ctx);
    const described = await fingerprint(source, 'frozen', ctx);
    return { bytes, sha256: hash.digest('hex'), fingerprint: described };
  } finally {
    if (online) await rm(source, { force: true });
  }
}

async function vacuumInto(path: string, target: string, fence: Fence | undefined, ctx: Context): Promise<void> {
  const script = `VACUUM INTO ${sqlText(target)};`;
  await sqlite(path, script, { access: 'read', fence, busyMs: 30_000 }, ctx);
  await chmod(target, 0o600);
}

export async function copyFile(from: string, to: string, fence: Fence | undefined, ctx: Context): Promise<void> {
  await ctx.run('cp', ['--reflink=auto', '--', from, to], fence ? { fence } : {}).catch((error) => {
    const said = isFailure(error, 'ToolFailed')
      ? String((error.details?.[0] as { stderrTail?: string } | undefined)?.stderrTail ?? '')
      : '';
    throw /No space left/.test(said) ? ctx.fail('DiskFull', 'the disk is full', { cause: error }) : error;
  });
  await chmod(to, 0o600);
}

export async function loadText(file: string, target: string, ctx: Context): Promise<void> {
  const handle = await open(file).catch((cause) => {
    throw ctx.fail('DatabaseMissing', `there is no ${file}`, { cause });
  });
  try {
    const { size } = await handle.stat();
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(TRAILER.length),
      0,
      TRAILER.length,
      Math.max(0, size - TRAILER.length),
    );
    if (buffer.subarray(0, bytesRead).toString('latin1') !== TRAILER)
      throw ctx.fail('DumpIncomplete', `${file} does not end with ${TRAILER.trim()}`);
  } finally {
    await handle.close();
  }
  await (await open(target, 'wx', 0o600)).close();
  await sqlite(target, `.read ${JSON.stringify(file)}`, { access: 'write' }, ctx);
}
