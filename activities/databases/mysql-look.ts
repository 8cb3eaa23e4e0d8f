import type { Context } from '../contracts.js';
import { type MysqlServer, type MysqlSpec, sqlName, sqlString } from '../tools/mysql.js';

/** Engines whose tables a transaction's view covers. */
const TRANSACTIONAL = ['InnoDB', 'ROCKSDB', 'TokuDB', 'XtraDB'];
/** Hexadecimal digits take two bytes for one. */
const HEX = 2;

const listOf = (schemas: readonly string[]) => schemas.map(sqlString).join(', ');
const IN = (column: string, schemas: readonly string[]) => `BINARY ${column} IN (${listOf(schemas)})`;

/** Throws DatabaseMissing, naming the schemas that the server lacks, or that this account may not see. */
export async function assertSchemas({ name, schemas }: MysqlSpec, server: MysqlServer, ctx: Context): Promise<void> {
  const found = new Set((await schemasOf(schemas, server)).map((schema) => schema));
  const lacking = schemas.filter((schema) => !found.has(schema));
  if (lacking.length > 0)
    throw ctx.fail('DatabaseMissing', `the server of ${name} has no schema ${lacking.join(', ')}`, {
      advice: 'correct `schemas`, or let the account see them',
    });
}

/** Those of the schemas that exist. */
export async function schemasOf(schemas: readonly string[], server: MysqlServer): Promise<string[]> {
  const sql = `SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE ${IN('SCHEMA_NAME', schemas)};`;
  return (await server.query(sql)).map(([schema]) => schema ?? '');
}

/** What a dump may need in bytes, and the tables that no transaction's view covers (`schema.table`). */
export async function sizeAndKind(
  { schemas }: MysqlSpec,
  server: MysqlServer,
): Promise<{ bytes: number; others: string[] }> {
  const rows = await server.query(
    `SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), COALESCE(ENGINE, ''), COALESCE(DATA_LENGTH, 0)
     FROM information_schema.TABLES WHERE ${IN('TABLE_SCHEMA', schemas)} AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW');`,
  );
  const known = TRANSACTIONAL.map((engine) => engine.toLowerCase());
  return {
    bytes: HEX * rows.reduce((sum, [, , bytes]) => sum + Number(bytes), 0),
    others: rows
      .filter(([, engine]) => !known.includes(engine?.toLowerCase() ?? ''))
      .map(([name]) => name ?? '')
      .sort(),
  };
}

/** Tables per schema (sequences too), in no order; none where there is no such schema. */
export async function tablesOf(schemas: readonly string[], server: MysqlServer): Promise<(schema: string) => string[]> {
  const rows = await server.query(
    `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
     WHERE ${IN('TABLE_SCHEMA', schemas)} AND TABLE_TYPE NOT LIKE '%VIEW';`,
  );
  return (schema) => rows.filter(([of]) => of === schema).map(([, table]) => table ?? '');
}

/** Rows per table (`schema.table`), in one view of the data. */
export async function countRows(schemas: readonly string[], server: MysqlServer): Promise<Record<string, number>> {
  const names = await server.query(
    `SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES
     WHERE ${IN('TABLE_SCHEMA', schemas)} AND TABLE_TYPE NOT IN ('VIEW', 'SYSTEM VIEW', 'SEQUENCE');`,
  );
  const counts = names.map(
    ([schema = '', table = ''], i) => `SELECT ${i}, COUNT(*) FROM ${sqlName(schema)}.${sqlName(table)};`,
  );
  const begin = [
    'SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;',
    'START TRANSACTION WITH CONSISTENT SNAPSHOT;',
  ];
  const counted = await server.query([...begin, ...counts, 'COMMIT;'].join('\n'));
  const tables = counted.map(([i, count]) => [(names[Number(i)] ?? []).join('.'), Number(count)] as const);
  return Object.fromEntries(tables.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Views, triggers, routines and events per schema, counted as DumpText.objects are. */
export async function objectsOf(schemas: readonly string[], server: MysqlServer): Promise<Record<string, number>> {
  const sql = objects(schemas)
    .map(({ kind, from, schema }) => `SELECT CONCAT(${schema}, ' ', ${kind}), COUNT(*) ${from} GROUP BY 1;`)
    .join('\n');
  return Object.fromEntries((await server.query(sql)).map(([key = '', count]) => [key, Number(count)]));
}

/** The statements that remove the schemas' views, triggers, routines and events. */
export async function dropsOf(schemas: readonly string[], server: MysqlServer): Promise<string[]> {
  const sql = objects(schemas)
    .map(({ kind, schema, name, from }) => `SELECT ${kind}, ${schema}, ${name} ${from};`)
    .join('\n');
  return (await server.query(sql)).map(
    ([kind, schema = '', name = '']) => `DROP ${kind} IF EXISTS ${sqlName(schema)}.${sqlName(name)};`,
  );
}

/** Where the server lists what a schema holds besides tables. */
function objects(schemas: readonly string[]): { kind: string; schema: string; name: string; from: string }[] {
  const of = (kind: string, table: string, schema: string, name: string) => ({
    kind,
    schema,
    name,
    from: `FROM information_schema.${table} WHERE ${IN(schema, schemas)}`,
  });
  return [
    of("'VIEW'", 'VIEWS', 'TABLE_SCHEMA', 'TABLE_NAME'),
    of("'TRIGGER'", 'TRIGGERS', 'TRIGGER_SCHEMA', 'TRIGGER_NAME'),
    of('ROUTINE_TYPE', 'ROUTINES', 'ROUTINE_SCHEMA', 'ROUTINE_NAME'),
    of("'EVENT'", 'EVENTS', 'EVENT_SCHEMA', 'EVENT_NAME'),
  ];
}
