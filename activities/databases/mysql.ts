import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, Database } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { type MysqlSpec, withMysql } from '../tools/mysql.js';
import { type Dumping, dumpText, writeGrants } from './mysql-dump.js';
import { mysqlExchange } from './mysql-exchange.js';
import { assertSchemas, countRows, objectsOf, sizeAndKind } from './mysql-look.js';
import { withScratchServer } from './mysql-scratch.js';
import { readDump } from './mysql-text.js';

/**
 * MariaDB and MySQL by their own programs: all schemas in one dump and one view of the data, so that rows of one that refer to rows of
 * another belong together. The fingerprint is the dump's own, read while it was written.
 */
export const mysqlDatabase: Database<MysqlSpec> = {
  kind: 'mysql',

  preflight: (spec, ctx) =>
    withMysql(spec, ctx, async (server) => {
      const tools = await server.versions();
      await assertSchemas(spec, server, ctx);
      // Shows before anything stops whether its rights suffice, and every view and table can be opened.
      await dumpText(spec, server, { rows: false }, ctx);
      const { bytes } = await sizeAndKind(spec, server);
      return { bytes, tools };
    }),

  async dump(spec, dir, fence, ctx) {
    const file = `${spec.name}.sql`;
    const target = join(dir, file);
    const grants = `${spec.name}.grants.sql`;
    for (const each of [target, join(dir, grants)]) await rm(each, { force: true });
    return withMysql(spec, ctx, async (server) => {
      await assertSchemas(spec, server, ctx);
      const how = locking(spec, await sizeAndKind(spec, server), ctx);
      const { text, bytes, sha256 } = await dumpText(spec, server, { rows: true, target, ...how, fence }, ctx);
      const lacking = spec.schemas.filter((schema) => !text.schemas.includes(schema));
      if (lacking.length > 0) throw ctx.fail('DumpIncomplete', `the dump lacks schema ${lacking.join(', ')}`);
      if (Object.keys(text.fingerprint.tables).length === 0)
        throw ctx.fail('DumpEmpty', `${spec.name} has no table`, { advice: 'look at the schemas of that server' });
      const also = spec.grants
        ? [{ file: grants, ...(await writeGrants(spec, server, join(dir, grants), fence, ctx)) }]
        : undefined;
      await syncDirectory(dir);
      return { file, bytes, sha256, fingerprint: text.fingerprint, ...(also ? { also } : {}) };
    });
  },

  live: (spec, ctx) =>
    withMysql(spec, ctx, async (server) => {
      await assertSchemas(spec, server, ctx);
      const { text } = await dumpText(spec, server, { rows: false }, ctx);
      return { ...text.fingerprint, tables: await countRows(spec.schemas, server) };
    }),

  inspect: async (file, _, ctx) => (await readDump(file, ctx)).fingerprint,

  async load(file, _, target, ctx) {
    const text = await readDump(file, ctx);
    await mkdir(target, { recursive: true, mode: 0o700 });
    try {
      return await withScratchServer([file], target, ctx, async (server) => {
        const loaded = await objectsOf(text.schemas, server);
        const places = Object.keys({ ...text.objects, ...loaded })
          .filter((key) => text.objects[key] !== loaded[key])
          .map((key) => `${key}: ${loaded[key] ?? 0}, not ${text.objects[key] ?? 0}`);
        if (places.length > 0)
          throw ctx.fail('DatabaseCorrupt', 'not every view, trigger, routine and event could be loaded', {
            details: { places },
          });
        return { ...text.fingerprint, tables: await countRows(text.schemas, server) };
      });
    } finally {
      await rm(target, { recursive: true, force: true });
    }
  },

  exchangeable: mysqlExchange,

  sidecars: () => [],
};

/** A transaction's view holds what InnoDB has; other tables only keep still while they are locked. */
function locking(
  { name, mode, schemas }: MysqlSpec,
  { others }: { others: string[] },
  ctx: Context,
): Pick<Dumping, 'locks'> {
  if (others.length === 0) return { locks: 'none' };
  const tables = others.length === 1 ? `table ${others[0]} has` : `${others.length} tables (${others[0]}, …) have`;
  const while_ = mode === 'online' ? ': writers waited while it was dumped' : '';
  ctx.note(`${name}: ${tables} no transactions, so tables were locked for the dump${while_}`);
  // Locks schema by schema would let writers in between two of them; while nobody writes they ask for fewer rights.
  return { locks: mode === 'online' && schemas.length > 1 ? 'all' : 'schema' };
}
