import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Database, Dumped, Fence } from '../contracts.js';
import { newestProgram, type PostgresSpec, type Server, versionOf, withServer } from '../tools/postgres.js';
import { archiveFingerprint, readArchive, schemaHash } from './postgres-archive.js';
import { postgresExchange } from './postgres-exchange.js';
import { countTables, restoreInto } from './postgres-load.js';
import { GLOBALS } from './postgres-roles.js';
import { scratchCluster } from './postgres-scratch.js';
import { streamFile } from './stream-file.js';

/** pg_restore writes to standard output by `-f -` from here on. */
const OLDEST = 12;
const GLOBALS_END = '-- PostgreSQL database cluster dump complete';
/** An `ALTER TABLE` that waits must not hold the application down for longer than this. */
const LOCK_WAIT_MS = 60_000;

const major = (version: string) => Number.parseInt(version, 10);

/**
 * One database of a PostgreSQL server, by pg_dump in its own format: consistent also while it is written to, so `stopped` matters only where
 * files belong to it. Not compressed: the engines do that, and find again what has not changed.
 */
export const postgresDatabase: Database<PostgresSpec> = {
  kind: 'postgres',

  preflight: (spec, ctx) =>
    withServer(spec, ctx, async (server) => {
      const client = await versionOf(server, 'pg_dump');
      await versionOf(server, 'pg_restore');
      const script = "SELECT pg_database_size(current_database()), current_setting('server_version');";
      const [bytes = '0', version = ''] = (await server.psql(spec.database, script)).trim().split('|');
      const least = Math.max(OLDEST, major(version));
      if (major(client) < least)
        throw ctx.fail('ToolTooOld', `pg_dump is ${client}, the server of ${spec.name} ${version}`, {
          advice: `install the client programs of version ${least} or newer`,
        });
      return { bytes: Number(bytes), tools: { pg_dump: client, postgresql: version.split(' ')[0] ?? version } };
    }),

  dump: (spec, dir, fence, ctx) =>
    withServer(spec, ctx, async (server) => {
      const file = `${spec.name}.dump`;
      const target = join(dir, file);
      const options = ['--format=custom', '--compress=0', `--lock-wait-timeout=${LOCK_WAIT_MS}`];
      const { bytes, sha256 } = await streamFile(target, ctx, (onStdout) =>
        server.run(server.program('pg_dump'), [...options, '-w', '-d', server.at(spec.database)], {
          onStdout,
          ...(fence ? { fence } : {}),
        }),
      );
      const fingerprint = await archiveFingerprint(target, server, ctx);
      if (Object.keys(fingerprint.tables).length === 0) throw ctx.fail('DumpEmpty', `${spec.name} has no table`);
      const also = spec.globals ? [await dumpGlobals(spec, dir, fence, server, ctx)] : undefined;
      return { file, bytes, sha256, fingerprint, ...(also ? { also } : {}) };
    }),

  live: (spec, ctx) =>
    withServer(spec, ctx, async (server) => {
      const tables = await countTables(server, spec.database);
      let schemaSha256 = '';
      const options = ['--schema-only', '--no-owner', '--no-privileges', `--lock-wait-timeout=${LOCK_WAIT_MS}`, '-w'];
      await server.run(server.program('pg_dump'), [...options, '-d', server.at(spec.database)], {
        onStdout: async (stdout) => {
          schemaSha256 = schemaHash(await text(stdout));
        },
      });
      return { tables, schemaSha256, userVersion: 0 };
    }),

  inspect: (file, _, ctx) => archiveFingerprint(file, here(ctx), ctx),

  /** The schema is that of the dump's text: a server of another version words the same view differently. */
  async load(file, _, target, ctx) {
    const dumped = await archiveFingerprint(file, here(ctx), ctx);
    return scratchCluster(target, ctx, async (server) => {
      const encoding = await encodingOf(file, ctx);
      // Roles that policies name; what this cluster has or cannot have (tablespaces) fails, and does not matter.
      const globals = join(dirname(file), GLOBALS);
      if (await stat(globals).catch(() => undefined))
        await server.run(server.program('psql'), ['-X', '-q', '-d', server.at('postgres'), '-f', globals], {
          ok: [0, 3],
        });
      await server.psql('postgres', `CREATE DATABASE restored TEMPLATE template0 ENCODING ${encoding};`);
      await restoreInto(file, 'restored', ['--no-owner', '--no-privileges', '--no-subscriptions'], server, ctx);
      return { ...dumped, tables: await countTables(server, 'restored', dumped.tables) };
    });
  },

  exchangeable: postgresExchange,
  sidecars: () => [],
};

const here = (ctx: Context) => ({ run: ctx.run, program: (name: string) => newestProgram(name) ?? name });

async function encodingOf(file: string, ctx: Context): Promise<string> {
  let head = '';
  await readArchive(file, ['--section=pre-data', '--schema-only'], here(ctx), ctx, async (stdout) => {
    head = (await text(stdout)).slice(0, 4096);
  });
  return /^SET client_encoding = ('[\w-]+');$/m.exec(head)?.[1] ?? "'UTF8'";
}

async function dumpGlobals(
  spec: PostgresSpec,
  dir: string,
  fence: Fence | undefined,
  server: Server,
  ctx: Context,
): Promise<NonNullable<Dumped['also']>[number]> {
  const take = (options: string[]) =>
    streamFile(join(dir, GLOBALS), ctx, (onStdout) =>
      server.run(server.program('pg_dumpall'), ['--globals-only', '-w', ...options, '-d', server.at(spec.database)], {
        onStdout,
        ...(fence ? { fence } : {}),
      }),
    );
  const { bytes, sha256, tail } = await take([]).catch((error) => {
    if (!isFailure(error, 'DatabaseDenied')) throw error;
    ctx.note(`roles of the server of ${spec.name} are kept without their passwords, which only a superuser may read`);
    return take(['--no-role-passwords']);
  });
  if (!tail.includes(GLOBALS_END))
    throw ctx.fail('DumpIncomplete', `the roles of ${spec.name} do not end as a complete dump of them does`);
  return { file: GLOBALS, bytes, sha256 };
}
