import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Context, Fence } from '../contracts.js';
import { writeDurable } from '../site/durable.js';
import { type MysqlServer, type MysqlSpec, sqlString } from '../tools/mysql.js';
import { type DumpText, readText } from './mysql-text.js';

export interface Dumping {
  rows: boolean;
  /** The file to write, or who takes the text; without one it is only read. */
  target?: string | Writable;
  /** `none`: one transaction's view. `schema`: a schema's tables while it is dumped. `all`: every table of the server. */
  locks?: 'none' | 'schema' | 'all';
  fence?: Fence | undefined;
  /** Of a wreck: what cannot be read is left out. */
  force?: boolean;
}

const LOCKS = {
  none: ['--single-transaction', '--skip-lock-tables'],
  schema: ['--skip-single-transaction', '--lock-tables'],
  all: ['--skip-single-transaction', '--lock-all-tables'],
};

/** Routines and events are left out by default. Dates would make each dump another one. */
const WHAT = ['--routines', '--events', '--triggers', '--hex-blob', '--skip-dump-date', '--no-tablespaces'];

/** Dumps a spec's schemas; the file is durable on return. Throws DumpIncomplete, DatabaseMissing, DatabaseDenied, … */
export async function dumpText(
  { name, schemas }: Pick<MysqlSpec, 'name' | 'schemas'>,
  server: MysqlServer,
  { rows, target, locks = 'none', fence, force = false }: Dumping,
  ctx: Context,
): Promise<{ text: DumpText; bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  const reader = readText();
  let bytes = 0;
  const watch = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk);
      reader.push(chunk);
      bytes += chunk.length;
      ctx.beat({ bytes });
      done(null, chunk);
    },
  });
  const to = () =>
    target === undefined
      ? new Writable({ write: (_, __, done) => done() })
      : typeof target !== 'string'
        ? target
        : createWriteStream(target, { mode: 0o600, flags: 'wx', flush: true });
  const args = [...WHAT, ...LOCKS[locks], ...(rows ? ['--quick'] : ['--no-data']), '--databases', '--', ...schemas];
  await server.dump(args, {
    onStdout: (stdout) => pipeline(stdout, watch, to()),
    ...(fence ? { fence } : {}),
    force,
  });
  const text = reader.end();
  if (!text.whole) throw ctx.fail('DumpIncomplete', `the dump of ${name} does not end with "-- Dump completed"`);
  return { text, bytes, sha256: hash.digest('hex') };
}

/** The accounts that have rights on the schemas, with all their rights: what a new server needs beside the dump. */
export async function writeGrants(
  { name, schemas }: MysqlSpec,
  server: MysqlServer,
  target: string,
  fence: Fence | undefined,
  ctx: Context,
): Promise<{ bytes: number; sha256: string }> {
  const options = fence ? { fence } : {};
  // A right's schema is a pattern (`shop\_%`).
  const on = (column: string) => schemas.map((schema) => `${sqlString(schema)} LIKE ${column}`).join(' OR ');
  const tables = ['SCHEMA_PRIVILEGES', 'TABLE_PRIVILEGES', 'COLUMN_PRIVILEGES'];
  const sql = tables
    .map((table) => `SELECT GRANTEE FROM information_schema.${table} WHERE ${on('TABLE_SCHEMA')}`)
    .join(' UNION ');
  const lines: string[] = [];
  for (const [account = ''] of await server.query(`${sql} ORDER BY 1;`, options)) {
    // A role of MariaDB has no host.
    const isRole = account.endsWith("@''") || !account.includes('@');
    const who = isRole ? account.replace(/@''$/, '') : account;
    const created = isRole
      ? [`CREATE ROLE IF NOT EXISTS ${who}`]
      : (await server.query(`SHOW CREATE USER ${who};`, options)).map(([text = '']) =>
          text.replace(/^CREATE USER /, 'CREATE USER IF NOT EXISTS '),
        );
    const granted = (await server.query(`SHOW GRANTS FOR ${who};`, options)).map(([text]) => text);
    lines.push(...created, ...granted.map((text) => text ?? ''));
  }
  if (lines.length === 0) ctx.note(`${name}: no account has rights of its own on ${schemas.join(', ')}`);
  const text = `-- Accounts with rights on ${schemas.map((each) => each.replace(/\n/g, ' ')).join(', ')}\n${lines.map((line) => `${line};\n`).join('')}`;
  await writeDurable(target, text);
  return { bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
}
