import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { ACCOUNT, GRANTS, MAPS } from '../../src/apps/apiscp.js';
import { isFailure } from '../../src/core/failures.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import type { Context, Restored } from '../contracts.js';
import { scratchCluster } from '../databases/postgres-scratch.js';
import { type MysqlServer, sqlName } from '../tools/mysql.js';
import { withThrowaway } from '../tools/mysql-throwaway.js';
import type { Server } from '../tools/postgres.js';
import { type AccountDump, accountsIn, dumpsSince, withText } from './apiscp-dumps.js';
import { type Tally, tally } from './tally.js';

const LOADED = "accounts' databases load";
const USERS = 'mysql grants';
const SITES = 'mailbox maps';

/** Loads what was restored into throw-away servers: every dump of the run, the grants, the mailbox maps. */
export async function loadChecks(restored: Restored, ctx: Context): Promise<Check[]> {
  const root = restored.relocate(restored.manifest.root);
  const { fresh } = await dumpsSince(root, Date.parse(restored.manifest.capturedAt));
  const of = (server: AccountDump['server']) => fresh.filter((dump) => dump.server === server);
  const loaded = tally();
  const checks = [
    ...(await inMysql(of('mysql'), dumpOf(restored, GRANTS), loaded, restored, ctx)),
    ...(await inPostgres(of('pgsql'), dumpOf(restored, MAPS), loaded, restored, ctx)),
  ];
  if (fresh.length === 0) return checks;
  return [
    ...checks,
    loaded.check(
      LOADED,
      (all) => `${all} dumps load into a server`,
      (bad, all) => `${bad} of ${all} dumps do not load`,
    ),
  ];
}

/** Our own dump of the grants or of the maps, where this capture has one. */
function dumpOf({ root, manifest }: Restored, name: string): string | undefined {
  const entry = manifest.databases.find((each) => each.name === name);
  return entry && join(root, ABOUT, entry.file);
}

async function inMysql(
  dumps: AccountDump[],
  grants: string | undefined,
  loaded: Tally,
  { scratch }: Restored,
  ctx: Context,
): Promise<Check[]> {
  if (dumps.length === 0 && grants === undefined) return [];
  return withThrowaway(join(scratch, 'mysql'), ctx, async (server) => {
    for (const dump of dumps)
      await attempt(dump.path, loaded, ctx, () =>
        withText(dump.path, ctx, (text) => intoSchema('loaded', text, server, async () => {})),
      );
    return grants === undefined ? [] : [await users(grants, server, ctx)];
  });
}

async function users(grants: string, server: MysqlServer, ctx: Context): Promise<Check> {
  const found = tally();
  await attempt(grants, found, ctx, () =>
    intoSchema('grants', createReadStream(grants), server, async () => {
      // MariaDB has its accounts in global_priv since 10.4, and `user` is a view of it.
      const tables = await server.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'grants' AND table_name IN ('global_priv', 'user') AND table_type = 'BASE TABLE';",
      );
      const counts = await Promise.all(
        tables.map(async ([table = '']) =>
          Number((await server.query(`SELECT COUNT(*) FROM grants.${sqlName(table)};`))[0]?.[0]),
        ),
      );
      if (Math.max(0, ...counts) === 0) throw new Error('no account of the database server is in it');
    }),
  );
  return found.check(USERS, () => 'loads into a server, and has accounts');
}

/** Loads a text into a schema of its own, asks, and drops it. */
async function intoSchema(
  name: string,
  text: AsyncIterable<Buffer>,
  server: MysqlServer,
  ask: () => Promise<void>,
): Promise<void> {
  const schema = sqlName(name);
  await server.execute(`DROP DATABASE IF EXISTS ${schema}; CREATE DATABASE ${schema};`);
  async function* script() {
    yield Buffer.from(`USE ${schema};\n`);
    yield* text;
  }
  await server.execute(Readable.from(script()));
  await ask();
  await server.execute(`DROP DATABASE ${schema};`);
}

async function inPostgres(
  dumps: AccountDump[],
  maps: string | undefined,
  loaded: Tally,
  restored: Restored,
  ctx: Context,
): Promise<Check[]> {
  if (dumps.length === 0 && maps === undefined) return [];
  return scratchCluster(join(restored.scratch, 'pgsql'), ctx, async (server) => {
    await server.psql('postgres', 'CREATE ROLE loader LOGIN;');
    for (const dump of dumps)
      await attempt(dump.path, loaded, ctx, () =>
        withText(dump.path, ctx, (text) => intoDatabase('loaded', text, server, async () => {})),
      );
    return maps === undefined ? [] : [await sites(maps, server, restored, ctx)];
  });
}

async function sites(maps: string, server: Server, restored: Restored, ctx: Context): Promise<Check> {
  const found = tally();
  const there = new Set(await accountsIn(restored.relocate(restored.manifest.root)));
  let seen: string[] | undefined;
  const failed = tally();
  await attempt(maps, failed, ctx, () =>
    intoDatabase('maps', createReadStream(maps), server, async () => {
      seen = (await server.psql('maps', 'SELECT site_id FROM siteinfo;')).split('\n').filter(Boolean);
    }),
  );
  if (seen === undefined) return failed.check(SITES, () => '');
  const known = new Set(seen.map((id) => `site${id}`).filter((name) => ACCOUNT.test(name)));
  for (const name of known) {
    if (there.has(name)) found.good();
    else found.bad(`${name}: in the maps, and not among the accounts`);
  }
  for (const name of there) if (!known.has(name)) found.bad(`${name}: an account that the maps do not know`);
  return found.check(
    SITES,
    (all) => `load into a server; their ${all} sites are the accounts`,
    (bad, all) => `${bad} of ${all} sites do not match`,
  );
}

/** Lines of a dump that name roles of the old server, or lock psql as we do. */
const PASSED_OVER =
  /^((ALTER .+ OWNER TO|GRANT|REVOKE|ALTER DEFAULT PRIVILEGES|COMMENT ON EXTENSION) .*;|\\(un)?restrict \w+)$/;

/**
 * Loads a plain text into a database of its own, asks, and drops it. The text is an account's, and nobody may trust it: psql takes no commands of
 * its own from it (`\\restrict`; one that does not know that fails), and a role without rights loads it.
 */
async function intoDatabase(
  name: string,
  text: AsyncIterable<Buffer>,
  server: Server,
  ask: () => Promise<void>,
): Promise<void> {
  await server.psql('postgres', `DROP DATABASE IF EXISTS ${name};`);
  await server.psql('postgres', `CREATE DATABASE ${name} TEMPLATE template0 OWNER loader;`);
  await server.psql(name, 'ALTER SCHEMA public OWNER TO loader;');
  async function* script() {
    yield `\\restrict ${randomBytes(16).toString('hex')}\n`;
    for await (const line of createInterface({ input: Readable.from(text), crlfDelay: Number.POSITIVE_INFINITY }))
      if (!PASSED_OVER.test(line)) yield `${line}\n`;
  }
  const args = ['-X', '-q', '-w', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', `${server.at(name)} user='loader'`];
  await server.run(server.program('psql'), args, { input: Readable.from(script()) });
  await ask();
  await server.psql('postgres', `DROP DATABASE ${name};`);
}

/** What does not load is a finding; what keeps it from being tried is none. */
async function attempt(place: string, found: Tally, ctx: Context, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    found.good();
  } catch (error) {
    ctx.signal.throwIfAborted();
    if (isFailure(error, 'ToolMissing', 'DiskFull', 'ToolStalled', 'DatabaseUnreachable')) throw error;
    found.bad(`${place}: ${(error as Error).message.split('; ')[0]}`);
  }
}
