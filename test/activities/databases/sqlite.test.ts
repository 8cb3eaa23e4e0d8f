import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sqliteDatabase as database } from '../../../activities/databases/sqlite.js';
import { isFailure } from '../../../src/core/failures.js';
import type { DatabaseSpec } from '../../../src/core/plan.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { testContext } from '../../support/context.js';
import { fixtureSite, NO_FIXTURES, temporary } from '../../support/videocms-site.js';

type Spec = Extract<DatabaseSpec, { kind: 'sqlite' }>;

const spec = (path: string, more: Partial<Spec> = {}): Spec => ({
  kind: 'sqlite',
  name: 'database',
  path,
  format: 'file',
  mode: 'stopped',
  ...more,
});

/** A program that has the database open, and never folds its log in. */
async function connection(path: string, script: string) {
  const child = spawn('sqlite3', ['-batch', path], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.write(`.dbconfig no_ckpt_on_close on\n${script}\n.print ready\n`);
  for await (const chunk of child.stdout) if (String(chunk).includes('ready')) break;
  return {
    pid: child.pid,
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    },
  };
}

const notes = (rows: number) =>
  `PRAGMA journal_mode=WAL; PRAGMA user_version=7; PRAGMA application_id=4711;
   CREATE TABLE notes(id INTEGER PRIMARY KEY, text); CREATE TABLE pairs(a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
   CREATE TABLE "odd ""name"", ünï|code's"(x); INSERT INTO "odd ""name"", ünï|code's" VALUES ('a' || char(10) || 'b'), (NULL);
   CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('one two'); INSERT INTO pairs VALUES (1, 2);
   WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) INSERT INTO notes(text) SELECT printf('note %d', i) FROM n;`;

databaseSuite('sqlite', {
  database,
  forms: [
    { format: 'file', mode: 'stopped' },
    { format: 'sql', mode: 'stopped' },
    { format: 'file', mode: 'online' },
    { format: 'sql', mode: 'online' },
  ],
  async make(dir, rows) {
    const path = join(dir, "it's a %23 dir?.db");
    const { stop } = await connection(path, notes(rows));
    return { spec: spec(path), stop };
  },
  missing: (dir) => spec(join(dir, 'none.db')),
  async empty(dir) {
    const path = join(dir, 'empty.db');
    execFileSync('sqlite3', [path, 'CREATE TABLE t(a); DROP TABLE t;']);
    return spec(path);
  },
});

describe('sqlite', () => {
  it('folds the log that a killed program left, and says how much', async () => {
    const path = join(temporary(), 'a.db');
    const { stop } = await connection(path, notes(1000));
    await stop();
    const main = readFileSync(path);
    assert.ok(statSync(`${path}-wal`).size > 0);
    const ctx = await testContext();
    await assert.rejects(database.dump(spec(path), temporary(), undefined, ctx), (e) => isFailure(e, 'CheckpointBusy'));
    assert.ok(main.equals(readFileSync(path)), 'a refused dump changes nothing');
    assert.match((await database.checkpoint!(spec(path), undefined, ctx)).said, /folded \d+ KB/);
    assert.ok(!existsSync(`${path}-wal`));
    assert.equal((await database.dump(spec(path), temporary(), undefined, ctx)).fingerprint.tables.notes, 1000);
  });

  it('does not take a busy checkpoint for a success, and names who is in the way', async () => {
    const path = join(temporary(), 'a.db');
    const writer = await connection(path, notes(10));
    const reader = await connection(path, 'BEGIN; SELECT count(*) FROM notes;');
    await writer.stop();
    const more = await connection(path, "INSERT INTO notes(text) VALUES ('later');");
    await more.stop();
    const ctx = await testContext();
    await assert.rejects(
      database.checkpoint!(spec(path), undefined, ctx),
      (error) =>
        isFailure(error, 'CheckpointBusy', 'DatabaseLocked') && error.message.includes(`pid ${reader.pid} (sqlite3)`),
    );
    await reader.stop();
    await database.checkpoint!(spec(path), undefined, ctx);
  });

  it('rolls an interrupted transaction of a rollback journal back', async () => {
    const path = join(temporary(), 'a.db');
    execFileSync('sqlite3', [path, 'CREATE TABLE t(a); INSERT INTO t SELECT value FROM generate_series(1, 20000);']);
    const { stop } = await connection(path, 'PRAGMA cache_size=5; BEGIN; UPDATE t SET a = a + 1;');
    await stop();
    const ctx = await testContext();
    if (statSync(`${path}-journal`, { throwIfNoEntry: false })?.size)
      await assert.rejects(database.dump(spec(path), temporary(), undefined, ctx), (e) =>
        isFailure(e, 'DatabaseLocked'),
      );
    await database.checkpoint!(spec(path), undefined, ctx);
    const into = temporary();
    await database.dump(spec(path), into, undefined, ctx);
    assert.equal(execFileSync('sqlite3', [join(into, 'database.sqlite'), 'SELECT min(a) FROM t']).toString(), '1\n');
  });

  it('counts more tables than one statement could name', async () => {
    const path = join(temporary(), 'a.db');
    const tables = Array.from({ length: 600 }, (_, i) => `CREATE TABLE t${i}(a); INSERT INTO t${i} VALUES (1);`);
    execFileSync('sqlite3', [path], { input: tables.join('\n') });
    const { fingerprint } = await database.dump(spec(path), temporary(), undefined, await testContext());
    assert.equal(Object.keys(fingerprint.tables).length, 600);
    assert.ok(Object.values(fingerprint.tables).every((rows) => rows === 1));
  });

  it('takes a database through a symbolic link, where its log lies beside the file itself', async () => {
    const [real, link] = [join(temporary(), 'real.db'), join(temporary(), 'link.db')];
    const { stop } = await connection(real, notes(5));
    await stop();
    symlinkSync(real, link);
    const ctx = await testContext();
    await assert.rejects(database.dump(spec(link), temporary(), undefined, ctx), (e) => isFailure(e, 'CheckpointBusy'));
    await database.checkpoint!(spec(link), undefined, ctx);
    assert.equal((await database.dump(spec(link), temporary(), undefined, ctx)).fingerprint.tables.notes, 5);
  });

  it('keeps owner and mode of the source, and the dump to itself', async () => {
    const path = join(temporary(), 'a.db');
    execFileSync('sqlite3', [path, 'CREATE TABLE t(a);']);
    chmodSync(path, 0o640);
    const into = temporary();
    const dumped = await database.dump(spec(path), into, undefined, await testContext());
    assert.equal(dumped.mode, 0o640);
    assert.equal(dumped.uid, process.getuid?.());
    assert.equal(statSync(join(into, dumped.file)).mode & 0o777, 0o600);
  });

  it('says of garbage, and of a damaged page, that the database is corrupt', async () => {
    const ctx = await testContext();
    const garbage = join(temporary(), 'a.db');
    writeFileSync(garbage, Buffer.alloc(8192, 'x'));
    await assert.rejects(database.preflight(spec(garbage), ctx), (e) => isFailure(e, 'DatabaseCorrupt'));
    const path = join(temporary(), 'b.db');
    execFileSync('sqlite3', [path, `CREATE TABLE t(a); INSERT INTO t SELECT value FROM generate_series(1, 5000);`]);
    const bytes = readFileSync(path);
    bytes.fill(0xff, 2 * 4096, 3 * 4096);
    writeFileSync(path, bytes);
    await assert.rejects(database.load(path, 'file', join(temporary(), 'x'), ctx), (e) =>
      isFailure(e, 'DatabaseCorrupt'),
    );
  });

  for (const [kind, files] of [
    ['hot', 4],
    ['young', 3],
  ] as const) {
    it(`takes what the real VideoCMS left in its log (${kind})`, { skip: NO_FIXTURES }, async () => {
      const path = join(fixtureSite(kind), 'database/database.sqlite');
      const ctx = await testContext();
      const alone = await database.inspect(path, 'file', ctx);
      await database.checkpoint!(spec(path), undefined, ctx);
      const { fingerprint } = await database.dump(spec(path), temporary(), undefined, ctx);
      assert.equal(alone.tables.files, kind === 'hot' ? 3 : undefined, 'the main file alone has less');
      assert.equal(fingerprint.tables.files, files);
      assert.equal(Object.keys(fingerprint.tables).length, 22);
    });
  }
});
