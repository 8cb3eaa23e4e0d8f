import { createReadStream } from 'node:fs';
import { isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import type { Server } from '../tools/postgres.js';
import { badArchive, LARGE_OBJECTS } from './postgres-archive.js';

/** Loads an archive into an empty database, ending at the first error. Throws ToolMissing where an extension of it is not installed. */
export async function restoreInto(
  file: string,
  database: string,
  options: string[],
  { run, program, at }: Server,
  ctx: Context,
): Promise<void> {
  const input = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    await run(program('pg_restore'), ['--exit-on-error', '-w', ...options, '-d', at(database)], { input });
  } catch (error) {
    const { stderrTail = '' } = ((isFailure(error) && error.details?.[0]) || {}) as { stderrTail?: string };
    const extension = /extension "([^"]+)" is not available|\/([^/"]+)\.control"/.exec(stderrTail);
    if (!extension) throw badArchive(error, file, ctx);
    const name = extension[1] ?? extension[2];
    throw ctx.fail('ToolMissing', `the extension ${name} of PostgreSQL is not installed`, { cause: error });
  } finally {
    input.destroy();
  }
}

/** Without what the system and extensions have made; partitions and children count for themselves, as they are dumped. */
const TABLES = `
SELECT format('SELECT json_build_array(%L, %s, %s)', n.nspname || '.' || c.relname,
  CASE WHEN e.objid IS NULL THEN format('(SELECT count(*) FROM ONLY %I.%I)', n.nspname, c.relname) ELSE '0' END,
  CASE WHEN e.objid IS NULL THEN 'true' ELSE 'false' END)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend e ON e.classid = 'pg_catalog.pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`;

/**
 * Rows per `schema.table` of a database, all in one snapshot. Tables that an extension made are in no dump but for its settings: those of
 * `dumped` are taken as they are there.
 */
export async function countTables(
  server: Server,
  database: string,
  dumped: Record<string, number> = {},
): Promise<Record<string, number>> {
  const script = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;${TABLES} \\gexec
SELECT json_build_array('${LARGE_OBJECTS}', count(*), true) FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0;
COMMIT;`;
  const rows = (await server.psql(database, script))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [table: string, rows: number, own: boolean]);
  const counted = rows.flatMap(([table, count, own]): [string, number][] => {
    const known = own ? count : dumped[table];
    return known === undefined ? [] : [[table, known]];
  });
  return Object.fromEntries(counted.sort(([a], [b]) => (a < b ? -1 : 1)));
}
