import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { isFailure } from '../../src/core/failures.js';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { Context } from '../contracts.js';
import type { Server } from '../tools/postgres.js';

/** Large objects stand in the fingerprint as the rows of this table. */
export const LARGE_OBJECTS = 'pg_catalog.pg_largeobject_metadata';

/**
 * Tables, rows and schema of an archive, read to its end: so it is the check for completeness too (`pg_restore -l` takes a cut one for
 * whole). Counted from the dump itself, so that the numbers are those of its one snapshot. Throws DumpIncomplete, DatabaseCorrupt, ToolTooOld.
 */
export async function archiveFingerprint(
  file: string,
  { run, program }: Pick<Server, 'run' | 'program'>,
  ctx: Context,
): Promise<Fingerprint> {
  if (!(await stat(file).catch(() => undefined))?.isFile())
    throw ctx.fail('DatabaseMissing', `there is no ${file}`, { advice: 'look at the backup that it should be in' });
  let tables: Record<string, number> = {};
  await readArchive(file, ['--section=data'], { run, program }, ctx, async (stdout) => {
    tables = await countRows(stdout);
  });
  let schemaSha256 = '';
  await readArchive(file, ['--schema-only'], { run, program }, ctx, async (stdout) => {
    schemaSha256 = schemaHash(await text(stdout));
  });
  return { tables, schemaSha256, userVersion: 0 };
}

/** Has pg_restore print an archive as SQL. */
export async function readArchive(
  file: string,
  options: string[],
  { run, program }: Pick<Server, 'run' | 'program'>,
  ctx: Context,
  onStdout: (stdout: Readable) => Promise<void>,
): Promise<void> {
  const input = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    // Owners and rights are not compared: a rehearsal has no such roles.
    await run(program('pg_restore'), ['--no-owner', '--no-privileges', ...options, '-f', '-'], { input, onStdout });
  } catch (error) {
    throw badArchive(error, file, ctx);
  } finally {
    input.destroy();
  }
}

export function badArchive(error: unknown, file: string, ctx: Context): unknown {
  if (!isFailure(error, 'ToolFailed')) return error;
  const { stderrTail: said = '', tool = 'pg_restore' } = (error.details?.[0] ?? {}) as Record<string, string>;
  const more = { details: { tool, places: [file] }, cause: error };
  if (/unsupported version/.test(said))
    return ctx.fail('ToolTooOld', `pg_restore is older than the pg_dump that made ${file}`, more);
  if (/end of file|too short|truncated/.test(said))
    return ctx.fail('DumpIncomplete', `${file} ends before its time`, more);
  if (
    /magic string|does not appear to be|corrupt|unexpected|invalid|unrecognized|could not (?:un)?compress|did not find/.test(
      said,
    )
  )
    return ctx.fail('DatabaseCorrupt', `${file} is no archive that can be read`, more);
  return error;
}

const NAME = '(?:"(?:[^"]|"")*"|[^". (]+)';
const COPY = new RegExp(`^COPY (${NAME})\\.(${NAME}) [^]*FROM stdin;$`);
const unquoted = (name: string) => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name);

/**
 * Rows per `schema.table` of the data section of a dump: each COPY statement with its lines, and large objects. A row is one line, as a line's
 * end within it is escaped; a name may have one.
 */
export async function countRows(stdout: Readable): Promise<Record<string, number>> {
  const tables = new Map<string, number>();
  let table: string | undefined;
  let rows = 0;
  /** The statement so far; while rows are read, the first bytes of the line. */
  let line: Buffer[] = [];
  let length = 0;
  let statement = '';
  const ends = (): void => {
    const said = length > 2 && table !== undefined ? '' : Buffer.concat(line).toString('utf8');
    line = [];
    length = 0;
    if (table !== undefined) {
      if (said === '\\.') {
        tables.set(table, rows);
        table = undefined;
      } else rows++;
      return;
    }
    if (/^SELECT pg_catalog\.lo_open\(/.test(said)) tables.set(LARGE_OBJECTS, (tables.get(LARGE_OBJECTS) ?? 0) + 1);
    if (!statement && !said.startsWith('COPY ')) return;
    statement += `${statement && '\n'}${said}`;
    if (!said.endsWith('FROM stdin;')) return;
    const [, schema = '', name = ''] = COPY.exec(statement) ?? [];
    statement = '';
    table = `${unquoted(schema)}.${unquoted(name)}`;
    rows = 0;
  };
  for await (const chunk of stdout as AsyncIterable<Buffer>) {
    for (let at = 0; at < chunk.length; ) {
      const end = chunk.indexOf(10, at);
      const stop = end < 0 ? chunk.length : end;
      if (table === undefined || length < 3) line.push(chunk.subarray(at, stop));
      length += stop - at;
      if (end >= 0) ends();
      at = stop + 1;
    }
  }
  return Object.fromEntries([...tables].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** SHA-256 of the statements of a schema, sorted, without what differs between two dumps of the same: versions, settings, random keys. */
export function schemaHash(sql: string): string {
  const blocks = sql
    .replace(/^--\n-- PostgreSQL database dump complete\n--\n[\s\S]*$/m, '')
    .split(/^--\n(?=-- Name: )/m)
    .slice(1)
    // Without data an archive still fills these, and a dump of the schema alone does not.
    .filter((block) => !/^-- Name: .*; Type: MATERIALIZED VIEW DATA;/.test(block))
    .map((block) => block.trim());
  return createHash('sha256').update(blocks.sort().join('\n')).digest('hex');
}
