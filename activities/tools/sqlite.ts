import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Fence, RunOptions } from '../contracts.js';
import { openBy } from './open-files.js';
import { streamed } from './streamed.js';

/**
 * How a database is opened. None of them creates it: without a mode, sqlite3 makes an empty file of a missing path and
 * calls that success. `frozen` is for files that nothing writes: it needs no -shm, and ignores a WAL.
 */
export type Access = 'read' | 'write' | 'frozen';

const QUERY: Record<Access, string> = { read: 'mode=ro', write: 'mode=rw', frozen: 'mode=ro&immutable=1' };

export interface SqliteOptions extends Pick<RunOptions, 'onLine' | 'onStdout' | 'timeoutMs'> {
  access: Access;
  fence?: Fence | undefined;
  /** How long to wait for a lock; default 5 s, VideoCMS's own. */
  busyMs?: number;
}

const HEAD = ['.bail on', '.headers off', '.mode list'];

/** `file:` URI of a path: `?`, `#` and `%` would end the path. */
export function uriOf(path: string, access: Access): string {
  return `file:${path.split('/').map(encodeURIComponent).join('/')}?${QUERY[access]}`;
}

/**
 * Runs an SQL script (dot commands allowed) and returns what it prints.
 * Throws DatabaseMissing, DatabaseLocked (naming who has it open), DatabaseCorrupt, DiskFull, SourceUnreadable.
 */
export async function sqlite(path: string, script: string, options: SqliteOptions, ctx: Context): Promise<string> {
  const { access, fence, busyMs = 5_000, ...rest } = options;
  const input = `${[...HEAD, `.timeout ${busyMs}`, script].join('\n')}\n`;
  try {
    // -init keeps the worker's own ~/.sqliterc out.
    const args = ['-batch', '-init', '/dev/null', uriOf(path, access)];
    return (await ctx.run('sqlite3', args, { input, ...(fence ? { fence } : {}), ...rest })).stdout;
  } catch (error) {
    throw await named(error, path, ctx);
  }
}

/** Rows of a query, streamed with back-pressure: the script prints one JSON object per line. */
export async function* rows<T>(path: string, query: string, access: Access, ctx: Context): AsyncGenerator<T> {
  yield* streamed(
    (onStdout) => sqlite(path, `${query};`, { access, onStdout }, ctx),
    async function* (stdout) {
      for await (const line of linesOf(stdout)) yield JSON.parse(line) as T;
    },
  );
}

async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of stream.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') yield rest;
}

/** SQL text of a string. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Says which of a database's ways to fail this is. */
async function named(error: unknown, path: string, ctx: Context): Promise<unknown> {
  if (!isFailure(error, 'ToolFailed')) return error;
  const details = error.details?.[0] as { stderrTail?: string } | undefined;
  const said = details?.stderrTail ?? '';
  const more = { details: { tool: 'sqlite3', places: [path] }, cause: error };
  if (/malformed|not a database|corrupt|file is encrypted/i.test(said))
    return ctx.fail('DatabaseCorrupt', `${path} cannot be read as a database`, more);
  if (/is locked|\bbusy\b/i.test(said))
    return ctx.fail('DatabaseLocked', `${path} is locked${await holders(path)}`, more);
  if (/disk is full|No space left/i.test(said)) return ctx.fail('DiskFull', 'the disk is full', more);
  if (/unable to open|readonly database|authorization denied/i.test(said))
    return (await stat(path).catch(() => undefined))
      ? ctx.fail('SourceUnreadable', `${path} cannot be opened`, more)
      : ctx.fail('DatabaseMissing', `there is no ${path}`, more);
  return error;
}

/** ` by pid 4711 (videocms)`, where /proc shows it; else nothing. */
export async function holders(path: string): Promise<string> {
  const open = await openBy([path, `${path}-wal`, `${path}-shm`]);
  return open.length > 0 ? ` by ${open.map(({ pid, program }) => `pid ${pid} (${program})`).join(', ')}` : '';
}
