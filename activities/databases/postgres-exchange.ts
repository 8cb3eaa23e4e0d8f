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
/** How much was written in it before it took its place, and that it was taken back from there; each with the run's tag. */
const WRITTEN = 'holdfast.written';
const BACK = 'holdfast.back';
/** What the server has counted of rows that came, changed and went. */
const COUNT = 'SELECT coalesce(sum(n_tup_ins + n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables;';

/** How long what an attempt that died left running in the server may take, and how long a statement waits for somebody else. */
const TURN = '60s';
const LOCK = '15s';

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
  written: string | undefined;
  takenBack: boolean;
}

/**
 * For the head of a script: what a killed attempt left running (a client in a container outlives the one that asked for it) ends before, or
 * its renames would come after whoever looked.
 */
const turn = (tag: string): string =>
  `SET lock_timeout = '${TURN}';\nSELECT pg_advisory_lock(hashtext(${literal(`holdfast ${tag}`)}));\nSET lock_timeout = '${LOCK}';\n`;

async function look(names: Names, tag: string, { psql }: Server): Promise<Found> {
  const { live, staged, aside, home } = names;
  const marked = `EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s WHERE s.setdatabase = d.oid AND ${literal(`${MARK}=${tag}`)} = ANY (s.setconfig))`;
  const wanted = [live, staged, aside].map(literal).join(', ');
  const set = (name: string) =>
    `(SELECT substr(c, ${name.length + tag.length + 3}) FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c
      WHERE s.setdatabase = d.oid AND left(c, ${name.length + tag.length + 2}) = ${literal(`${name}=${tag} `)})`;
  const said = await psql(
    home,
    `${turn(tag)}SELECT json_build_array(datname, ${marked}, ${set(WRITTEN)}, ${set(BACK)}) FROM pg_catalog.pg_database d WHERE datname IN (${wanted});`,
  );
  const rows = said
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as [string, boolean, string | null, string | null]);
  const [restored, , written, back] = rows.find(([, mark]) => mark) ?? [];
  return {
    there: new Set(rows.map(([name]) => name)),
    restored,
    written: written ?? undefined,
    takenBack: typeof back === 'string',
  };
}

/** Nobody else is let in, and whoever is in is shown out; a rename waits 5 s for the last of them. */
const empty = (names: string[]): string =>
  names.map((name) => `ALTER DATABASE ${ident(name)} ALLOW_CONNECTIONS false;`).join('\n') +
  `\nSELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (${names.map(literal).join(', ')}) AND backend_type = 'client backend';\n`;
const open = (name: string): string => `ALTER DATABASE ${ident(name)} ALLOW_CONNECTIONS true;\n`;
const set = (name: string, what: string, text: string): string =>
  `ALTER DATABASE ${ident(name)} SET ${what} = ${literal(text)};\n`;
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
      if (there.has(names.staged)) await server.psql(names.home, removal([names.staged], tag));
      const superuser = await isSuperuser(server, names.home);
      if (superuser) await makeRoles(spec, file, server, names.home, ctx);
      else ctx.note(`${spec.name} is restored without owners and rights: its user is no superuser`);
      await createLike(file, { ...names, turn: turn(tag) }, superuser, server, ctx);
      await server.psql(names.home, set(names.staged, MARK, tag));
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
      const { there, restored, written, takenBack } = await look(namesOf(spec, tag), tag, server);
      if (restored === live) return;
      if (restored !== staged)
        throw ctx.fail('RestoreFailed', `what was to take the place of ${spec.name} is not there`, {
          advice: 'start the restore again',
        });
      if (there.has(live) && there.has(aside))
        throw ctx.fail('RestoreRefused', `${spec.name} appeared again while the application was stopped`);
      if (takenBack) {
        await server.psql(home, open(staged));
        if ((await server.psql(staged, COUNT)).trim() !== written)
          throw ctx.fail(
            'RestoreFailed',
            `the application had run on the restored ${spec.name} before it was taken back`,
            { advice: 'start the restore again' },
          );
      } else if (written === undefined)
        await server.psql(home, set(staged, WRITTEN, `${tag} ${(await server.psql(staged, COUNT)).trim()}`));
      const leaving = there.has(live) ? rename(live, aside) : '';
      const busy = there.has(live) ? [live, staged] : [staged];
      const script = `${turn(tag)}${empty(busy)}BEGIN;\n${leaving}${rename(staged, live)}${open(live)}COMMIT;`;
      await server.psql(home, script, fence);
    }),

  takeBack: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { live, staged, aside, home } = namesOf(spec, tag);
      const { there, restored } = await look(namesOf(spec, tag), tag, server);
      if (restored === live) {
        const comes = there.has(aside) ? `${rename(aside, live)}${open(live)}` : '';
        const back = `${set(live, BACK, `${tag} yes`)}${rename(live, staged)}${comes}`;
        await server.psql(home, `${turn(tag)}${empty([live])}BEGIN;\n${back}COMMIT;\n${open(staged)}`);
      } else if (there.has(aside) && !there.has(live))
        await server.psql(home, `${turn(tag)}${rename(aside, live)}${open(live)}`);
      // An exchange that was cut short may have closed it.
      else if (there.has(live)) await server.psql(home, `${turn(tag)}${open(live)}`);
    }),

  unstage: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { staged, home } = namesOf(spec, tag);
      const { there } = await look(namesOf(spec, tag), tag, server);
      if (there.has(staged)) await server.psql(home, removal([staged], tag));
    }),

  drop: (spec, tag, ctx) =>
    withServer(spec, ctx, async (server) => {
      const { live, staged, aside, home } = namesOf(spec, tag);
      const { there, restored } = await look(namesOf(spec, tag), tag, server);
      const gone = [staged, aside].filter((name) => there.has(name));
      if (gone.length > 0) await server.psql(home, removal(gone, tag));
      const marks = [MARK, WRITTEN, BACK].map((mark) => `ALTER DATABASE ${ident(live)} RESET ${mark};`);
      if (restored === live) await server.psql(home, marks.join('\n'));
    }),
};

const removal = (names: string[], tag: string): string =>
  `${turn(tag)}${empty(names)}${names.map((name) => `DROP DATABASE ${ident(name)};`).join('\n')}`;

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
