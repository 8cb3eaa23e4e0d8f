import { z } from 'zod';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Fence } from '../contracts.js';
import { type MysqlServer, sqlName, sqlString } from '../tools/mysql.js';
import { countRows } from './mysql-look.js';

/** The table in a staged or put-aside schema that says what is what. */
export const KEPT = 'holdfast_exchange';

const Kept = z.object({
  /** Tables per schema, by the live schema's name. */
  tables: z.record(z.string(), z.array(z.string())),
  /** Statements that make views, triggers, routines and events anew. */
  objects: z.array(z.string()),
  /** How many of them there were, of each kind and schema. */
  counted: z.record(z.string(), z.int()),
  /** Of what was staged: rows per table, and when the last one changed, to tell whether an application has worked on it. */
  counts: z.record(z.string(), z.int()).optional(),
  changedAt: z.string().optional(),
  /** An exchange with it has come to its end once. */
  exchanged: z.boolean().optional(),
});
export type Kept = z.infer<typeof Kept>;

/** Well below what any server takes in one statement by default. */
const PIECE = 400_000;

const where = (schema: string) => `${sqlName(schema)}.${sqlName(KEPT)}`;

/** Statements that write it whole or not at all. */
export function keeping(schema: string, what: Kept): string[] {
  const hex = Buffer.from(JSON.stringify(what)).toString('hex');
  const pieces: string[] = [];
  for (let at = 0; at < hex.length; at += PIECE) pieces.push(hex.slice(at, at + PIECE));
  return [
    `CREATE TABLE IF NOT EXISTS ${where(schema)} (n INT NOT NULL AUTO_INCREMENT PRIMARY KEY, kind VARCHAR(16) NOT NULL, text LONGBLOB NOT NULL) ENGINE=InnoDB;`,
    'START TRANSACTION;',
    // Numbered: of two attempts at once the later one fails, and nothing that leads back is written over.
    ...pieces.map((piece, i) => `INSERT INTO ${where(schema)} (n, kind, text) VALUES (${i + 1}, 'kept', 0x${piece});`),
    'COMMIT;',
  ];
}

/** What was kept there; undefined where nothing was, or not to its end. */
export async function kept(schema: string, server: MysqlServer): Promise<Kept | undefined> {
  const rows = await server.query(`SELECT kind, HEX(text) FROM ${where(schema)} ORDER BY n;`).catch((error) => {
    if (isFailure(error, 'DatabaseMissing')) return [];
    throw error;
  });
  const hex = rows.filter(([kind]) => kind === 'kept').map(([, text]) => text);
  if (hex.length === 0) return undefined;
  const what = Kept.parse(JSON.parse(Buffer.from(hex.join(''), 'hex').toString('utf8')));
  return rows.some(([kind]) => kind === 'exchanged') ? { ...what, exchanged: true } : what;
}

/** The statement that notes the end of an exchange. */
export function exchanged(schema: string): string {
  return `INSERT INTO ${where(schema)} (kind, text) VALUES ('exchanged', '');`;
}

/** When a row of these schemas last changed, as far as the server remembers. */
export async function lastChange(schemas: readonly string[], server: MysqlServer): Promise<string> {
  const [[at = ''] = []] = await server.query(
    `/*!80000 SET SESSION information_schema_stats_expiry = 0 */;
     SELECT COALESCE(MAX(UPDATE_TIME), '') FROM information_schema.TABLES
     WHERE BINARY TABLE_SCHEMA IN (${schemas.map(sqlString).join(', ')}) AND TABLE_NAME <> '${KEPT}';`,
  );
  return at;
}

/** Whether rows came, went or changed since they were staged. */
export async function changedSince(schemas: readonly string[], was: Kept, server: MysqlServer): Promise<boolean> {
  const now = Object.entries(await countRows(schemas, server)).filter(([name]) => !name.endsWith(`.${KEPT}`));
  const then = was.counts ?? {};
  if (now.length !== Object.keys(then).length || now.some(([name, rows]) => then[name] !== rows)) return true;
  return (await lastChange(schemas, server)) > (was.changedAt ?? '');
}

/** How long an attempt that died may still take in the server. */
const SECONDS = 60;
/** How long a statement waits for tables that somebody else uses; the server's own limit is a day, and the application is down. */
const TABLES_SECONDS = 15;

/** Waits for the end of what an attempt that died left running in the server. Throws DatabaseLocked. */
export async function lock(tag: string, server: MysqlServer, ctx: Context, fence?: Fence): Promise<void> {
  const [[got] = []] = await server.query(`SELECT GET_LOCK('holdfast ${tag}', ${SECONDS});`, fence ? { fence } : {});
  if (got !== '1') throw ctx.fail('DatabaseLocked', 'an earlier attempt still works in the server');
}

/**
 * Ends other sessions in these schemas, as far as the account may: the application is stopped, and a transaction that somebody forgot would
 * keep tables from going away, and from coming back.
 */
export async function showOut(schemas: readonly string[], server: MysqlServer): Promise<void> {
  const ids = await server.query(
    `SELECT ID FROM information_schema.PROCESSLIST WHERE BINARY DB IN (${schemas.map(sqlString).join(', ')})
     AND ID <> CONNECTION_ID() AND USER NOT IN ('system user', 'event_scheduler');`,
  );
  if (ids.length > 0) await server.execute(ids.map(([id]) => `KILL ${id};\n`).join(''), { force: true });
}

/** For the head of a script: where the lock cannot be had, or later a table, an error ends the script. */
export function lockOrFail(tag: string): string {
  return [
    `SET SESSION lock_wait_timeout = ${TABLES_SECONDS};`,
    `SET @holdfast = IF(GET_LOCK('holdfast ${tag}', ${SECONDS}) = 1, 'DO 0', 'DO the_lock_is_taken');`,
    'PREPARE holdfast FROM @holdfast;',
    'EXECUTE holdfast;',
  ].join('\n');
}
