import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Context, Exchangeable } from '../contracts.js';
import { ident, literal, type PostgresSpec, type Server, withServer } from '../tools/postgres.js';
import { archiveFingerprint } from './postgres-archive.js';
import { BARE, createLike } from './postgres-create.js';
import { countTables, restoreInto } from './postgres-load.js';
import { GLOBALS, rolesFor } from './postgres-roles.js';

/** A database's own mark, which a rename keeps: it tells the restored one from the live one whatever they are called by then. */
const MARK = 'holdfast.restored';

interface Names {
  live: string;
  /** Where the restored one is loaded, and goes back to. */
  staged: string;
  aside: string;
  /** Where renames are done from: a session cannot rename its own database. */
  home: string;
}

function namesOf({ database }: PostgresSpec, tag: string): Names {
  const own = createHash('sha256').update(database).digest('hex').slice(0, 8);
  return {
    live: database,
    staged: `holdfast_new_${tag}_${own}`,
    aside: `holdfast_old_${tag}_${own}`,
    home: database === 'postgres' ? 'template1' : 'postgres',
  };
}

/** What is there under each of the names, and which carries the mark of this run. */
interface Found {
  there: Set<string>;
  restored: string | undefined;
}

async function look(names: Names, tag: string, { psql }: Server): Promise<Found> {
  const { live, staged, aside, home } = names;
  const marked = `EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid AND ${literal(`${MARK}=${tag}`)} = ANY (s.setconfig))`;
  const wanted = [live, staged, aside].map(literal).join(', ');
  const said = await psql(
    home,
    `SELECT json_build_array(datname, ${marked}) FROM pg_catalog.pg_database d WHERE datname IN (${wanted});`,
  );
  const rows = said
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, boolean]);
  return { there: new Set(rows.map(([name]) => name)), restored: rows.find(([, mark]) => mark)?.[0] };
}

/** Nobody else is let in, and whoever is in is shown out; a rename waits 5 s for the last of them. */
const empty = (names: string[]): string =>
  names.map((name) => `ALTER DATABASE ${ident(name)} ALLOW_CONNECTIONS false;`).join('\n') +
  `\nSELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (${names.map(literal).join(', ')}) AND backend_type = 'client backend';\n`;
const open = (name: string): string => `ALTER DATABASE ${ident(name)} ALLOW_CONNECTIONS true;\n`;
const rename = (from: string, to: string): string => `ALTER DATABASE ${ident(from)} RENAME TO ${ident(to)};\n`;

/**
 * Exchanges databases by their names: both renames are one transaction, so that there is no moment with neither. Needs a user that may make
 * databases and end sessions: their owner with CREATEDB, or a superuser.
 */
export const postgresExchange: Exchangeable<PostgresSpec> = {
  stage: (spec, file, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const names = namesOf(spec, tag);
      const dumped = await archiveFingerprint(file, server, ctx);
      const { there, restored } = await look(names, tag, server);
      // A repeat after the exchange would load beside what is live already.
      if (restored === names.live) return { said: `${spec.name} is in place already` };
      if (there.has(names.staged)) await server.psql(names.home, removal([names.staged]));
      const superuser = await isSuperuser(server, names.home);
      if (superuser) await makeRoles(spec, file, server, names.home, ctx);
      else ctx.note(`${spec.name} is restored without owners and rights: its user is no superuser`);
      await createLike(file, names.staged, names.home, superuser, server, ctx);
      await server.psql(names.home, `ALTER DATABASE ${ident(names.staged)} SET ${MARK} = ${literal(tag)};`);
      await restoreInto(file, names.staged, superuser ? [] : BARE, server, ctx);
      await server.psql(names.staged, 'ANALYZE;');
      const tables = await countTables(server, names.staged, dumped.tables);
      const wrong = Object.keys({ ...tables, ...dumped.tables }).filter((name) => tables[name] !== dumped.tables[name]);
      if (wrong.length > 0)
        throw ctx.fail('RestoreFailed', `${spec.name} has other rows than its dump: ${wrong[0]}`, {
          details: { places: wrong.slice(0, 20) },
        });
      const rows = Object.values(tables).reduce((sum, count) => sum + count, 0);
      const many = Object.keys(tables).length;
      return {
        said: `${spec.name}: ${rows} rows in ${many} ${many === 1 ? 'table' : 'tables'} loaded beside the live ones`,
      };
    }),

  exchange: (spec, tag, fence, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { live, staged, aside, home } = namesOf(spec, tag);
      const { there, restored } = await look(namesOf(spec, tag), tag, server);
      if (restored === live) return;
      if (restored !== staged)
        throw ctx.fail('RestoreFailed', `what was to take the place of ${spec.name} is not there`, {
          advice: 'start the restore again',
        });
      if (there.has(live) && there.has(aside))
        throw ctx.fail('RestoreRefused', `${spec.name} appeared again while the application was stopped`);
      const leaving = there.has(live) ? rename(live, aside) : '';
      const busy = there.has(live) ? [live, staged] : [staged];
      const script = `${empty(busy)}BEGIN;\n${leaving}${rename(staged, live)}${open(live)}COMMIT;`;
      await server.psql(home, script, fence);
    }),

  takeBack: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { live, staged, aside, home } = namesOf(spec, tag);
      const { there, restored } = await look(namesOf(spec, tag), tag, server);
      if (restored === live) {
        const comes = there.has(aside) ? `${rename(aside, live)}${open(live)}` : '';
        await server.psql(home, `${empty([live])}BEGIN;\n${rename(live, staged)}${comes}COMMIT;\n${open(staged)}`);
      } else if (there.has(aside) && !there.has(live)) await server.psql(home, `${rename(aside, live)}${open(live)}`);
      // An exchange that was cut short may have closed it.
      else if (there.has(live)) await server.psql(home, open(live));
    }),

  unstage: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { staged, home } = namesOf(spec, tag);
      const { there } = await look(namesOf(spec, tag), tag, server);
      if (there.has(staged)) await server.psql(home, removal([staged]));
    }),

  drop: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { live, staged, aside, home } = namesOf(spec, tag);
      const { there, restored } = await look(namesOf(spec, tag), tag, server);
      const gone = [staged, aside].filter((name) => there.has(name));
      if (gone.length > 0) await server.psql(home, removal(gone));
      if (restored === live) await server.psql(home, `ALTER DATABASE ${ident(live)} RESET ${MARK};`);
    }),
};

const removal = (names: string[]): string =>
  `${empty(names)}${names.map((name) => `DROP DATABASE ${ident(name)};`).join('\n')}`;

async function isSuperuser({ psql }: Server, home: string): Promise<boolean> {
  return (await psql(home, "SELECT current_setting('is_superuser');")).trim() === 'on';
}

/** On a server that was made anew the roles of the dump are not there. */
async function makeRoles(spec: PostgresSpec, file: string, server: Server, home: string, ctx: Context): Promise<void> {
  const globals = join(dirname(file), GLOBALS);
  if (!(await stat(globals).catch(() => undefined))) return;
  const known = (await server.psql(home, 'SELECT to_json(rolname) FROM pg_roles;'))
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as string);
  const { script, made } = rolesFor(await readFile(globals, 'utf8'), known);
  if (made.length === 0) return;
  await server.psql(home, script);
  ctx.note(`${spec.name}: made the roles ${made.join(', ')}, which the server did not have`);
}
