import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Context, Exchangeable, Fence } from '../contracts.js';
import { type MysqlServer, type MysqlSpec, sqlName, sqlString, withMysql } from '../tools/mysql.js';
import { LOCKED, RIGHTS } from '../tools/mysql-errors.js';
import { dumpText } from './mysql-dump.js';
import {
  changedSince,
  exchanged,
  KEPT,
  type Kept,
  keeping,
  kept,
  lastChange,
  lock,
  lockOrFail,
  showOut,
} from './mysql-kept.js';
import { countRows, dropsOf, objectsOf, schemasOf, tablesOf } from './mysql-look.js';
import { mayBeExchanged, mayBePutBack, rehearse } from './mysql-rehearse.js';
import { roomFor } from './mysql-room.js';
import { splitDump } from './mysql-split.js';
import { readDump } from './mysql-text.js';

const NAME_MOST = 64;

/** `shop__hf_<tag>`: a schema of this run's; one that would get too long a name is cut and told by its hash. */
const nameFor = (mark: string) => (tag: string) => (schema: string) => {
  const end = `__${mark}_${tag}`;
  if (schema.length + end.length <= NAME_MOST) return schema + end;
  const hash = createHash('sha256').update(schema).digest('hex').slice(0, 8);
  return `${schema.slice(0, NAME_MOST - end.length - hash.length - 1)}_${hash}${end}`;
};
const stagedFor = nameFor('hf');
const asideFor = nameFor('was');

/**
 * The exchange of schemas, which MySQL cannot rename. Tables move by one RENAME TABLE per schema. Views, triggers, routines and events
 * cannot move: their text is kept in a table beside the moved ones, they are dropped, and made anew where the tables are. Each call looks
 * at what there is first. Names that were there before (`old`) and names that were loaded (`new`) tell which is which at any cut point:
 * an old table always leaves the live schema before a new one of its name comes.
 */
export const mysqlExchange: Exchangeable<MysqlSpec> = {
  async stage(spec, file, tag, ctx) {
    const text = await readDump(file, ctx);
    const same = [...text.schemas].sort().join('\n') === [...spec.schemas].sort().join('\n');
    if (!same)
      throw ctx.fail('RestoreRefused', `the dump has schemas ${text.schemas.join(', ')}, the config other ones`, {
        advice: `name them as \`schemas\` of ${spec.name}, or restore into a directory`,
      });
    const staged = stagedFor(tag);
    const names = spec.schemas.map(staged);
    return withMysql(spec, ctx, async (server) => {
      await lock(tag, server, ctx);
      await dropSchemas(names, tag, server);
      await roomFor(spec, file, server, ctx);
      const { data, objects } = splitDump(staged);
      // A load that was killed, and is still at its last table, must not come after whoever drops all of it.
      data.push(`${lockOrFail(tag)}\n`);
      const source = createReadStream(file, { highWaterMark: 1 << 20 });
      source.on('data', () => ctx.beat());
      source.on('error', (error) => data.destroy(error));
      await server.execute(source.pipe(data));
      await mayBeExchanged(spec, staged, server, ctx);
      await rehearse(spec, objects, staged, server, ctx);
      await mayBePutBack(spec, staged, server, ctx);
      const [counts, changedAt] = [await countRows(names, server), await lastChange(names, server)];
      const tables = await tablesBy(spec.schemas, staged, server);
      const dumped = text.fingerprint.tables;
      const wrong = spec.schemas.flatMap((schema) =>
        (tables[schema] ?? []).filter((table) => counts[`${staged(schema)}.${table}`] !== dumped[`${schema}.${table}`]),
      );
      const [many, wanted] = [counts, dumped].map((each) => Object.keys(each).length);
      if (wrong.length > 0 || many !== wanted)
        throw ctx.fail(
          'RestoreFailed',
          `${spec.name}: ${many} of ${wanted} tables were loaded, not all with their rows`,
          {
            details: { places: wrong.slice(0, 20) },
          },
        );
      const what = { tables, objects, counted: text.objects, counts, changedAt };
      await run([lockOrFail(tag), ...keeping(staged(first(spec)), what)], server);
      return { said: `${spec.name}: ${sum(counts)} rows in ${many} tables loaded beside the live ones` };
    });
  },

  exchange: (spec, tag, fence, ctx) =>
    withMysql(spec, ctx, async (server) => {
      const [staged, aside] = [stagedFor(tag), asideFor(tag)];
      await lock(tag, server, ctx, fence);
      const incoming = await kept(staged(first(spec)), server);
      if (!incoming)
        throw ctx.fail('RestoreFailed', `what was loaded of ${spec.name} is not there`, {
          advice: 'start the restore again',
        });
      let before = await kept(aside(first(spec)), server);
      if (!before) {
        if (incoming.exchanged && (await changedSince(spec.schemas.map(staged), incoming, server)))
          throw ctx.fail(
            'RestoreFailed',
            `the application had run on the restored ${spec.name} before it was taken back`,
            { advice: 'start the restore again' },
          );
        before = await putAside(spec, tag, fence, server, ctx);
      }
      await showOut(spec.schemas, server);
      const moves: string[] = [];
      const has = await state(spec, tag, server);
      for (const schema of spec.schemas) {
        const [live, gone, comes] = [has(schema), has(aside(schema)), has(staged(schema))];
        const [was, now] = [before.tables[schema] ?? [], incoming.tables[schema] ?? []];
        // Also what somebody made since: a repeat must come to an end, and what is aside is kept.
        const isOld = (table: string) => was.includes(table) || !now.includes(table) || comes.has(table);
        const old = [...live].filter((table) => !gone.has(table) && isOld(table));
        const fresh = incoming.tables[schema]?.filter((table) => comes.has(table)) ?? [];
        moves.push(
          ...renames([
            ...old.map((table) => ({ table, from: schema, to: aside(schema) })),
            ...fresh.map((table) => ({ table, from: staged(schema), to: schema })),
          ]),
        );
      }
      const script = [...(await dropsOf(spec.schemas, server)), ...moves, ...incoming.objects];
      await run([lockOrFail(tag), ...script, exchanged(staged(first(spec)))], server, fence);
      await isInPlace(spec, incoming, server, ctx);
    }),

  takeBack: (spec, tag, ctx) =>
    withMysql(spec, ctx, async (server) => {
      const [staged, aside] = [stagedFor(tag), asideFor(tag)];
      await lock(tag, server, ctx);
      const before = await kept(aside(first(spec)), server);
      // Nothing is touched before all that leads back is kept.
      if (!before) return;
      await showOut(spec.schemas, server);
      const moves: string[] = [];
      const has = await state(spec, tag, server);
      for (const schema of spec.schemas) {
        const [live, gone, comes] = [has(schema), has(aside(schema)), has(staged(schema))];
        const old = before.tables[schema] ?? [];
        const back = [...live].filter((table) => !old.includes(table) || gone.has(table));
        moves.push(
          // What the restored application made in a first and again in a second section: nobody asks for both.
          ...back
            .filter((table) => comes.has(table))
            .map((table) => `DROP TABLE ${sqlName(staged(schema))}.${sqlName(table)};`),
          ...renames([
            ...back.map((table) => ({ table, from: schema, to: staged(schema) })),
            ...[...gone].map((table) => ({ table, from: aside(schema), to: schema })),
          ]),
        );
      }
      // Where no table has moved, all that is there is from before: nothing need go, so no lock of somebody else's is in the way.
      const cleared = moves.length === 0 && Object.values(before.tables).some(({ length }) => length > 0);
      if (!cleared) await run([lockOrFail(tag), ...(await dropsOf(spec.schemas, server)), ...moves], server);
      await makeAnew(spec, tag, before, server, ctx);
      const left = await state(spec, tag, server);
      for (const schema of spec.schemas)
        if (left(aside(schema)).size > 0)
          throw ctx.fail('RestoreFailed', `tables of ${spec.name} are left in ${aside(schema)}`);
      await dropSchemas(spec.schemas.map(aside), tag, server);
    }),

  unstage: (spec, tag, ctx) =>
    withMysql(spec, ctx, (server) => dropSchemas(spec.schemas.map(stagedFor(tag)), tag, server)),

  drop: (spec, tag, ctx) =>
    withMysql(spec, ctx, (server) =>
      dropSchemas([...spec.schemas.map(stagedFor(tag)), ...spec.schemas.map(asideFor(tag))], tag, server),
    ),
};

const first = ({ schemas }: MysqlSpec): string => schemas[0] as string;

const sum = (rows: Record<string, number>): number => Object.values(rows).reduce((all, each) => all + each, 0);

/**
 * Statements in one session. With the lock at their head, what an attempt that died left running in the server ends before them, and
 * they end before what comes next.
 */
async function run(statements: readonly string[], server: MysqlServer, fence?: Fence): Promise<void> {
  await server.execute(`${statements.join('\n')}\n`, fence ? { fence } : {});
}

/** What was broken before stays so: a view of what is not there cannot be made, and the application comes back without it. */
async function makeAnew(spec: MysqlSpec, tag: string, before: Kept, server: MysqlServer, ctx: Context): Promise<void> {
  const errors = await server.execute(`${[lockOrFail(tag), ...before.objects].join('\n')}\n`, { force: true });
  const now = await objectsOf(spec.schemas, server);
  const lacks = Object.entries(before.counted).some(([what, count]) => (now[what] ?? 0) < count);
  // What can be had later must not be given up: its text is dropped after this.
  if (lacks && errors.some((code) => LOCKED.includes(code)))
    throw ctx.fail('DatabaseLocked', `tables of ${spec.name} are locked by another connection`);
  if (lacks && errors.some((code) => RIGHTS.includes(code)))
    throw ctx.fail('DatabaseDenied', `the account of ${spec.name} may not make its views, triggers or routines anew`, {
      advice: 'grant it that; the log says which right lacks',
    });
  for (const [what, count] of Object.entries(before.counted))
    if ((now[what] ?? 0) < count)
      ctx.note(
        `${spec.name}: ${count - (now[what] ?? 0)} of ${count} ${what} could not be put back: it names what is not there`,
      );
}

/** Throws RestoreFailed where what is live now is not what was staged: somebody made tables while the application was stopped, say. */
async function isInPlace({ name, schemas }: MysqlSpec, was: Kept, server: MysqlServer, ctx: Context): Promise<void> {
  const [tables, objects] = [await tablesOf(schemas, server), await objectsOf(schemas, server)];
  const wrong = schemas.flatMap((schema) => {
    const [now, then] = [tables(schema), was.tables[schema] ?? []];
    return [...now.filter((each) => !then.includes(each)), ...then.filter((each) => !now.includes(each))];
  });
  // An event whose time is over goes as soon as it is made.
  const lacking = Object.entries(was.counted).flatMap(([what, count]) =>
    !what.endsWith(' EVENT') && (objects[what] ?? 0) < count ? [what] : [],
  );
  const places = [...wrong, ...lacking];
  if (places.length > 0)
    throw ctx.fail('RestoreFailed', `${name} is not what was restored: ${places[0]}`, {
      advice: 'look who else works in that server, and start the restore again',
      details: { places: places.slice(0, 20) },
    });
}

/** Keeps all that leads back, durable before anything is touched: the names of the tables, and the text of what cannot move. */
async function putAside(spec: MysqlSpec, tag: string, fence: Fence, server: MysqlServer, ctx: Context): Promise<Kept> {
  const [staged, aside] = [stagedFor(tag), asideFor(tag)];
  const there = await schemasOf(spec.schemas, server);
  const { data, objects } = splitDump((schema) => schema);
  if (there.length > 0)
    await dumpText(
      { ...spec, schemas: there },
      server,
      { rows: false, target: data.resume(), fence, force: true },
      ctx,
    );
  const tables = await tablesBy(spec.schemas, (schema) => schema, server);
  const before: Kept = { tables, objects, counted: await objectsOf(spec.schemas, server) };
  const create = spec.schemas.map((schema) => `CREATE DATABASE IF NOT EXISTS ${sqlName(aside(schema))};`);
  for (const schema of spec.schemas.filter((each) => !there.includes(each)))
    create.push(await createLike(schema, staged(schema), server));
  await run([lockOrFail(tag), ...create, ...keeping(aside(first(spec)), before)], server, fence);
  return before;
}

async function createLike(schema: string, like: string, server: MysqlServer): Promise<string> {
  const [[charset, collation] = []] = await server.query(
    `SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ${sqlString(like)};`,
  );
  return `CREATE DATABASE IF NOT EXISTS ${sqlName(schema)} CHARACTER SET ${charset} COLLATE ${collation};`;
}

/** Tables by the live schema's name, wherever they are now. */
async function tablesBy(
  schemas: readonly string[],
  nameOf: (schema: string) => string,
  server: MysqlServer,
): Promise<Record<string, string[]>> {
  const tables = await tablesOf(schemas.map(nameOf), server);
  return Object.fromEntries(schemas.map((schema) => [schema, tables(nameOf(schema))]));
}

/** The tables that each schema has now: live, staged and aside. */
async function state({ schemas }: MysqlSpec, tag: string, server: MysqlServer) {
  const names = [...schemas, ...schemas.map(stagedFor(tag)), ...schemas.map(asideFor(tag))];
  const tables = await tablesOf(names, server);
  return (schema: string) => new Set(tables(schema).filter((name) => name !== KEPT));
}

/** All moves of a schema in one statement: the server does all of them or none. */
function renames(moves: { table: string; from: string; to: string }[]): string[] {
  if (moves.length === 0) return [];
  const each = moves.map(
    ({ table, from, to }) => `${sqlName(from)}.${sqlName(table)} TO ${sqlName(to)}.${sqlName(table)}`,
  );
  return [`RENAME TABLE ${each.join(', ')};`];
}

async function dropSchemas(schemas: readonly string[], tag: string, server: MysqlServer): Promise<void> {
  const drops = schemas.map((schema) => `DROP DATABASE IF EXISTS ${sqlName(schema)};`);
  // Tables that refer to each other go in any order.
  await run([lockOrFail(tag), 'SET FOREIGN_KEY_CHECKS = 0;', ...drops], server);
}
