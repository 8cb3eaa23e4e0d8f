import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { postgresDatabase as database } from '../../../activities/databases/postgres.js';
import { openState } from '../../../activities/site/state.js';
import { isFailure } from '../../../src/core/failures.js';
import { restoreText } from '../../../src/core/restore-text.js';
import { runWatchdog } from '../../../worker/watchdog.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { manifestOf } from '../../conformance/engine-fixture.js';
import { testContext } from '../../support/context.js';
import { openPostgres } from '../../support/postgres.js';
import { eventually } from '../../support/toy.js';
import { temporary } from '../../support/videocms-site.js';

const opened = await openPostgres();
const skip = typeof opened === 'string' ? opened : false;
const server = opened as Exclude<typeof opened, string>;
after(() => (skip ? undefined : server.end()));
const { sql, spec } = skip ? ({} as typeof server) : server;

let count = 0;
const ODD = `odd "name", it's\nü|;\\`;
const fresh = (script: string, name = `d${++count}`) => {
  sql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}" TEMPLATE template0`);
  sql(name, script);
  return name;
};
/** Whatever has tripped a counter of rows: names, kinds of tables, texts that look like a dump's own lines. */
const notes = (rows: number) => `
  CREATE TABLE notes (id serial PRIMARY KEY, text text);
  INSERT INTO notes (text) SELECT E'line one\\n\\\\.\\nCOPY public.x (y) FROM stdin;\\r\\t' || i FROM generate_series(1, ${rows}) i;
  CREATE SCHEMA "s p.a"; CREATE TABLE "s p.a"."${ODD.replaceAll('"', '""')}" ("a ) FROM stdin;" int);
  INSERT INTO "s p.a"."${ODD.replaceAll('"', '""')}" VALUES (1), (NULL);
  CREATE TABLE none (); INSERT INTO none DEFAULT VALUES; CREATE TABLE empty (x int);
  CREATE TABLE parted (k int) PARTITION BY LIST (k); CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1);
  INSERT INTO parted VALUES (1), (1), (1);
  CREATE TABLE parent (a int); CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (1);
  CREATE VIEW seen AS SELECT * FROM notes; CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM notes;
  CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
-- Name: not a heading; Type: TABLE
COPY public.y (z) FROM stdin;
  END $$;
  SELECT lo_from_bytea(0, decode(repeat('00ff5c2e0a', 40000), 'hex')); SELECT lo_from_bytea(0, '');`;

if (!skip)
  databaseSuite('postgres', {
    database,
    notes: 'public.notes',
    forms: [{ format: 'custom', mode: 'stopped' }],
    make: async (_, rows) => ({ spec: spec(fresh(notes(rows))), stop: async () => {} }),
    missing: () => spec('not "there"'),
    empty: async () => spec(fresh('CREATE VIEW v AS SELECT 1')),
  });

/** Loads as long as anybody waits: its index is made by a function that has become slow. */
const SLOW = `CREATE TABLE t (a int); INSERT INTO t VALUES (1);
  CREATE FUNCTION slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN a; END $$; CREATE INDEX ON t (slow(a));
  CREATE OR REPLACE FUNCTION slow(a int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(300); RETURN a; END $$;`;
const fence = { lockFile: join(temporary(), 'lock'), epochFile: join(temporary(), 'epoch'), epoch: 1 };
writeFileSync(fence.epochFile, '1\n');

describe('postgres', { skip }, () => {
  it('counts what the dump holds, as the database counts it itself', async () => {
    const ctx = await testContext();
    const one = spec(fresh(notes(7)));
    const into = temporary();
    const { file, fingerprint } = await database.dump(one, into, undefined, ctx);
    assert.deepEqual(fingerprint.tables, {
      'pg_catalog.pg_largeobject_metadata': 2,
      'public.child': 1,
      'public.empty': 0,
      'public.none': 1,
      'public.notes': 7,
      'public.parent': 0,
      'public.part_1': 3,
      [`s p.a.${ODD}`]: 2,
    });
    assert.deepEqual(await database.live(one, ctx), fingerprint);
    assert.equal(statSync(join(into, file)).mode & 0o777, 0o600);
    sql(one.database, 'ALTER TABLE notes ADD more int');
    assert.notEqual((await database.live(one, ctx)).schemaSha256, fingerprint.schemaSha256);
  });

  it('a dump that somebody writes beside is of one instant, and its numbers are its own', async () => {
    const ctx = await testContext();
    const one = spec(fresh('CREATE TABLE a (i int); CREATE TABLE b (i int)'));
    let writing = true;
    const writer = (async () => {
      while (writing) {
        sql(one.database, 'BEGIN; INSERT INTO a VALUES (1); INSERT INTO b VALUES (1); COMMIT');
        await sleep(1);
      }
    })();
    const into = temporary();
    const { file, fingerprint } = await database.dump(one, into, undefined, ctx);
    writing = false;
    await writer;
    assert.equal(fingerprint.tables['public.a'], fingerprint.tables['public.b']);
    const loaded = await database.load(join(into, file), 'custom', join(temporary(), 'x'), ctx);
    assert.deepEqual(loaded, fingerprint);
  });

  it('an archive cut at any place is incomplete, also where its list can still be read', async () => {
    const ctx = await testContext();
    const into = temporary();
    const { file, bytes } = await database.dump(spec(fresh(notes(300))), into, undefined, ctx);
    const whole = readFileSync(join(into, file));
    for (const at of [3, 2000, Math.floor(bytes * 0.9), bytes - 1]) {
      writeFileSync(join(into, file), whole.subarray(0, at));
      await assert.rejects(database.inspect(join(into, file), 'custom', ctx), (e) =>
        isFailure(e, 'DumpIncomplete', 'DatabaseCorrupt'),
      );
    }
    writeFileSync(join(into, file), 'no archive, '.repeat(100));
    await assert.rejects(database.inspect(join(into, file), 'custom', ctx), (e) => isFailure(e, 'DatabaseCorrupt'));
  });

  it('keeps the roles with their passwords beside the dump, without them where it may not read them', async () => {
    const ctx = await testContext();
    sql(
      'postgres',
      'CREATE ROLE owner LOGIN PASSWORD \'x y\' NOSUPERUSER; CREATE ROLE "odd role"; GRANT "odd role" TO owner',
    );
    const name = fresh('CREATE TABLE t (a int)');
    sql('postgres', `ALTER DATABASE ${name} OWNER TO owner`);
    sql(name, 'ALTER TABLE t OWNER TO owner');
    const into = temporary();
    const { also } = await database.dump(spec(name, { globals: true }), into, undefined, ctx);
    assert.deepEqual(
      also?.map(({ file }) => file),
      ['globals.sql'],
    );
    assert.match(readFileSync(join(into, 'globals.sql'), 'utf8'), /PASSWORD 'SCRAM-SHA-256/);
    assert.equal(statSync(join(into, 'globals.sql')).mode & 0o777, 0o600);
    const password = join(temporary(), 'password');
    writeFileSync(password, 'x y\n', { mode: 0o600 });
    const second = temporary();
    await database.dump(
      spec(name, { globals: true, user: 'owner', password: { file: password } }),
      second,
      undefined,
      ctx,
    );
    assert.doesNotMatch(readFileSync(join(second, 'globals.sql'), 'utf8'), /PASSWORD/);
    assert.match(ctx.notes.join(), /without their passwords/);
  });

  it("comes back by hand, by RESTORE.md's own lines, with its roles", async () => {
    const ctx = await testContext();
    sql('postgres', 'CREATE ROLE by_hand');
    const name = fresh('CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO by_hand');
    const dir = temporary();
    const into = join(dir, 'restored/staging/databases/wiki');
    mkdirSync(into, { recursive: true });
    const { file, also, ...rest } = await database.dump(spec(name, { globals: true }), into, undefined, ctx);
    const below = (one: string) => `databases/wiki/${one}`;
    const text = restoreText(
      manifestOf('/staging', {
        databases: [
          {
            ...{ name: 'wiki', kind: 'postgres', format: 'custom', file: below(file), ...rest },
            also: also!.map((one) => ({ ...one, file: below(one.file) })),
          },
        ],
      }),
      [],
    );
    sql('postgres', `DROP DATABASE ${name}; DROP ROLE by_hand`);
    const lines = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, body]) => body).join('\n');
    const login = {
      PGHOST: server.dir,
      PGUSER: 'postgres',
      PGPASSWORD: readFileSync(server.passwordFile, 'utf8').trimEnd(),
    };
    execFileSync('sh', ['-eu', '-c', lines], { cwd: dir, env: { ...process.env, ...login }, stdio: 'ignore' });
    assert.equal(sql(name, "SELECT tableowner FROM pg_tables WHERE tablename = 't'"), 'by_hand');
  });

  it('says which way it was refused, and shows no password', async () => {
    const ctx = await testContext();
    const name = fresh('CREATE TABLE t (a int)');
    const wrong = join(temporary(), 'password');
    writeFileSync(wrong, 'Wrong-Secret\n', { mode: 0o600 });
    const cases: [Parameters<typeof spec>[1], string][] = [
      [{ password: { file: wrong } }, 'DatabaseDenied'],
      [{ user: 'nobody at all' }, 'DatabaseDenied'],
      [{ socket: temporary() }, 'DatabaseUnreachable'],
    ];
    for (const [more, type] of cases)
      await assert.rejects(database.preflight(spec(name, more), ctx), (error: Error) => {
        assert.ok(isFailure(error, type as 'DatabaseDenied'), error.message);
        return !/Wrong-Secret/.test(JSON.stringify(error));
      });
    assert.doesNotMatch(await ctx.logText(), /Wrong-Secret|se:cr/);
    sql('postgres', "CREATE ROLE reader LOGIN PASSWORD 'Wrong-Secret'");
    await assert.rejects(
      database.dump(spec(name, { user: 'reader', password: { file: wrong } }), temporary(), undefined, ctx),
      (e) => isFailure(e, 'DatabaseDenied'),
    );
  });

  it('refuses a client that is older than the server, before anything stops', async () => {
    const ctx = await testContext();
    const run: typeof ctx.run = async (program, args, options) => {
      const result = await ctx.run(program, args, options);
      const old = program.endsWith('pg_dump') && args[0] === '--version';
      return old ? { ...result, stdout: 'pg_dump (PostgreSQL) 12.1 (Debian 12.1-1)\n' } : result;
    };
    const one = spec(fresh('CREATE TABLE t (a int)'));
    await assert.rejects(
      database.preflight(one, { ...ctx, run }),
      (error) => isFailure(error, 'ToolTooOld') && /pg_dump is 12\.1, the server of wiki \d+/.test(error.message),
    );
  });

  it('ends its scratch server when it is cancelled, and leaves nothing of it', async () => {
    const ctx = await testContext();
    const into = temporary();
    const { file } = await database.dump(spec(fresh(SLOW)), into, undefined, ctx);
    const target = join(temporary(), 'x');
    const loading = database.load(join(into, file), 'custom', target, ctx);
    // Other tests have servers of their own meanwhile.
    const noted = () =>
      execFileSync('find', [ctx.state.work, '-name', 'outside', '-printf', '%l'], { encoding: 'utf8' });
    const runs = (socket: string) => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).includes(socket);
    let socket = '';
    await eventually('the scratch server runs', 60_000, () => {
      socket = noted();
      return socket !== '' && runs(socket);
    });
    ctx.cancel(new Error('enough'));
    await assert.rejects(loading, /enough/);
    assert.deepEqual(readdirSync(join(target, '..')), []);
    await eventually('it has ended', 60_000, () => !runs(socket));
  });

  it('killed in the middle of a dump and of a load it leaves no password, and nothing at all after the next boot', async () => {
    const [into, again, target, outside] = [temporary(), temporary(), join(temporary(), 'x'), temporary()];
    chmodSync(outside, 0o711);
    const state = await openState(temporary());
    const held = spec(fresh('CREATE TABLE held (a int)'));
    const { file } = await database.dump(spec(fresh(SLOW)), into, undefined, await testContext());
    const holding = `BEGIN; LOCK TABLE held; SELECT pg_sleep(300);`;
    const login = { PGPASSWORD: readFileSync(server.passwordFile, 'utf8').trimEnd() };
    const at = `dbname=${held.database} host=${server.dir} user=postgres`;
    const holder = spawn('psql', ['-X', '-d', at, '-c', holding], {
      env: { ...process.env, ...login },
      stdio: 'ignore',
    });
    const waits = (what: string) =>
      sql(
        'postgres',
        `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '${what}' AND datname = '${held.database}'`,
      );
    await eventually('a table is locked', 60_000, () => waits('%pg_sleep%') === '1');
    const [module, support] = ['../../../activities/databases/postgres.ts', '../../support/context.ts'].map((path) =>
      JSON.stringify(new URL(path, import.meta.url).href),
    );
    const script = `const { postgresDatabase: database } = await import(${module}); const { testContext } = await import(${support});
      const ctx = await testContext({ dir: ${JSON.stringify(state.root)} });
      await Promise.all([database.dump(${JSON.stringify(held)}, ${JSON.stringify(again)}, undefined, ctx),
        database.load(${JSON.stringify(join(into, file))}, 'custom', ${JSON.stringify(target)}, ctx)]);`;
    const worker = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', script], {
      env: { ...process.env, TMPDIR: outside },
      stdio: 'inherit',
    });
    const places = () => readdirSync(outside).filter((name) => name.startsWith('hf-'));
    await eventually('it dumps', 60_000, () => waits('LOCK TABLE%ACCESS SHARE%') === '1');
    await eventually('it loads', 60_000, () => places().some((name) => readdirSync(join(outside, name)).length > 1));
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    holder.kill();
    assert.equal(places().length, 1);
    const grep = (...args: string[]) => spawnSync('grep', ['-rlE', 'se[\\\\]?:cr', ...args], { encoding: 'utf8' });
    const found = grep(state.root, again);
    assert.deepEqual([found.stdout, found.stderr], ['', '']);
    // A server still works in the one, and the other is everybody's: files may go meanwhile.
    assert.equal(grep('-s', outside, '/dev/shm').stdout, '');
    const stop = new AbortController();
    const watchdog = runWatchdog({ stateDir: state.root, signal: stop.signal });
    const left = () => [...places(), ...readdirSync(state.groups), ...readdirSync(join(state.work, 'cache'))];
    await eventually('all is gone', 60_000, () => left().length === 0).finally(() => stop.abort());
    await watchdog;
  });
});

describe('postgres, exchanged', { skip }, () => {
  const exchange = database.exchangeable!;
  const staged = async (script: string, change: string) => {
    const ctx = await testContext();
    const name = fresh(script);
    const one = spec(name);
    const into = temporary();
    const { file } = await database.dump(one, into, undefined, ctx);
    if (change) sql(name, change);
    return { ctx, name, one, file: join(into, file) };
  };
  const names = () =>
    sql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'").split('\n').filter(Boolean);
  const rows = (name: string) => Number(sql(name, 'SELECT count(*) FROM t'));
  const THREE = 'CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2), (3)';

  it('takes the place of the live one, however often and whoever is connected', async () => {
    const { ctx, name, one, file } = await staged(
      `${THREE}; ALTER DATABASE d${count + 1} SET work_mem = '5MB'`,
      'DELETE FROM t',
    );
    await exchange.stage(one, file, 'tag1', ctx);
    const { said } = await exchange.stage(one, file, 'tag1', ctx);
    assert.match(said, /: 3 rows in 1 table loaded beside/);
    assert.equal(rows(name), 0, 'nothing happened to the live one yet');
    const visitor = ctx.run(
      'psql',
      ['-X', '-d', `dbname=${name} host=${server.dir} user=postgres`, '-c', 'SELECT pg_sleep(600)'],
      {
        env: { PGPASSWORD: readFileSync(server.passwordFile, 'utf8').trimEnd() },
      },
    );
    visitor.catch(() => {});
    await eventually(
      'the visitor is in',
      60_000,
      () => sql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}'`) === '1',
    );
    await exchange.exchange(one, 'tag1', fence, ctx);
    await exchange.exchange(one, 'tag1', fence, ctx);
    await assert.rejects(visitor);
    assert.equal(rows(name), 3);
    assert.equal(sql(name, 'SHOW work_mem'), '5MB');
    await exchange.unstage(one, 'tag1', ctx);
    assert.equal(names().length, 1, 'the one from before is kept');
    await exchange.drop(one, 'tag1', ctx);
    await exchange.drop(one, 'tag1', ctx);
    assert.equal(rows(name), 3);
    assert.deepEqual(names(), []);
  });

  it('comes back with what it had, and may be exchanged again', async () => {
    const { ctx, name, one, file } = await staged(THREE, 'INSERT INTO t VALUES (4)');
    await exchange.takeBack(one, 'tag2', ctx);
    assert.equal(rows(name), 4, 'nothing to take back is fine');
    await exchange.stage(one, file, 'tag2', ctx);
    await exchange.exchange(one, 'tag2', fence, ctx);
    await exchange.takeBack(one, 'tag2', ctx);
    await exchange.takeBack(one, 'tag2', ctx);
    assert.equal(rows(name), 4);
    await exchange.exchange(one, 'tag2', fence, ctx);
    assert.equal(rows(name), 3);
    await exchange.takeBack(one, 'tag2', ctx);
    assert.equal(names().length, 1, 'the restored one is kept');
    await exchange.unstage(one, 'tag2', ctx);
    await exchange.unstage(one, 'tag2', ctx);
    assert.deepEqual(names(), []);
    await exchange.drop(one, 'tag2', ctx);
    assert.equal(rows(name), 4);
    assert.deepEqual(names(), []);
  });

  it('what the application has worked on before it was taken back is not put in place again', async () => {
    const { ctx, name, one, file } = await staged(THREE, 'INSERT INTO t VALUES (4)');
    await exchange.stage(one, file, 'tag5', ctx);
    await exchange.exchange(one, 'tag5', fence, ctx);
    sql(name, 'UPDATE t SET a = 9 WHERE a = 1');
    await exchange.takeBack(one, 'tag5', ctx);
    assert.equal(rows(name), 4);
    await assert.rejects(
      exchange.exchange(one, 'tag5', fence, ctx),
      (e) => isFailure(e, 'RestoreFailed') && /had run on the restored/.test(e.message),
    );
    assert.equal(rows(name), 4);
    await exchange.drop(one, 'tag5', ctx);
  });

  it('a killed attempt that still works in the server ends before what it did is looked at', async () => {
    const { ctx, name, one, file } = await staged(THREE, 'INSERT INTO t VALUES (4)');
    await exchange.stage(one, file, 'tag6', ctx);
    // The exchange's own script, as a client in a container runs it on when the one outside has been killed.
    let script = '';
    const dying: typeof ctx.run = async (program, args, options) => {
      const input = String(options?.input ?? '');
      if (!input.includes('RENAME')) return ctx.run(program, args, options);
      script = input.replace('BEGIN;', 'BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(4711);');
      throw new Error('killed');
    };
    await assert.rejects(exchange.exchange(one, 'tag6', fence, { ...ctx, run: dying }), /killed/);
    const at = `dbname=postgres host=${server.dir} user=postgres`;
    const env = { PGPASSWORD: readFileSync(server.passwordFile, 'utf8').trimEnd() };
    const slow = spawn('psql', ['-X', '-q', '-d', at], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    slow.stdin.write('SELECT pg_advisory_lock(4711);\n');
    const locks = (granted: boolean) =>
      Number(sql('postgres', `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted = ${granted}`));
    await eventually('something will keep it', 60_000, () => locks(true) === 1);
    const left = ctx.run('psql', ['-X', '-q', '-d', at, '-f', '-'], { env, input: script });
    left.catch(() => {});
    await eventually('it is at work', 60_000, () => locks(false) === 1);
    const back = exchange.takeBack(one, 'tag6', ctx);
    back.catch(() => {});
    await eventually('it is waited for', 60_000, () => locks(false) === 2);
    slow.stdin.end();
    await back;
    assert.equal(rows(name), 4);
    await left;
    assert.equal(rows(name), 4, 'it did not come late');
    await exchange.drop(one, 'tag6', ctx);
  });

  it('one that is gone is made anew, with roles that the server lost, and goes again where it is taken back', async () => {
    const ctx = await testContext();
    sql('postgres', 'CREATE ROLE "gone role" LOGIN PASSWORD \'p\'');
    const name = `d${++count}`;
    sql('postgres', `CREATE DATABASE ${name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' OWNER "gone role"`);
    sql(name, `CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO "gone role"`);
    const one = spec(name, { globals: true });
    const into = temporary();
    const { file } = await database.dump(one, into, undefined, ctx);
    sql('postgres', `DROP DATABASE ${name}; DROP ROLE "gone role"`);
    await exchange.stage(one, join(into, file), 'tag3', ctx);
    assert.match(ctx.notes.join(), /made the roles gone role/);
    await exchange.exchange(one, 'tag3', fence, ctx);
    assert.equal(sql(name, "SELECT tableowner FROM pg_tables WHERE tablename = 't'"), 'gone role');
    const owner = `SELECT pg_get_userbyid(datdba) || ' ' || datlocprovider::text FROM pg_database WHERE datname = '${name}'`;
    assert.equal(sql('postgres', owner), 'gone role i');
    await exchange.takeBack(one, 'tag3', ctx);
    assert.throws(() => sql(name, 'SELECT 1'), /does not exist/);
    await exchange.exchange(one, 'tag3', fence, ctx);
    assert.equal(rows(name), 1);
    await exchange.drop(one, 'tag3', ctx);
    assert.equal(rows(name), 1);
  });

  it('refuses what was not staged, and a live one that came into being meanwhile', async () => {
    const { ctx, name, one, file } = await staged(THREE, '');
    await assert.rejects(exchange.exchange(one, 'tag4', fence, ctx), (e) => isFailure(e, 'RestoreFailed'));
    await exchange.stage(one, file, 'tag4', ctx);
    const aside = names()[0]!.replace('new', 'old');
    sql('postgres', `CREATE DATABASE ${aside}`);
    await assert.rejects(exchange.exchange(one, 'tag4', fence, ctx), (e) => isFailure(e, 'RestoreRefused'));
    assert.equal(rows(name), 3);
    await exchange.drop(one, 'tag4', ctx);
    assert.deepEqual(names(), []);
  });
});
