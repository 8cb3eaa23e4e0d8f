import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { mysqlDatabase } from '../../activities/databases/mysql.js';
import { reportOf } from '../../src/client/follow.js';
import type { Progress, Report } from '../../src/core/report.js';
import { testContext } from '../support/context.js';
import { createLab, type Lab } from '../support/lab.js';
import { strays } from '../support/lab-look.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { NO_MYSQL, openMysql } from '../support/mysql-server.js';
import { eventually, lives } from '../support/toy.js';

/*
 * A site of its config alone, with files and databases in a MariaDB, on a real Temporal server: backed up, destroyed, restored in place in part
 * and in whole, proven, and brought back to what it was where a restore fails half-way. The tests build on each other's snapshots.
 */

/** Half of a migration is done, then nothing more comes; its session stays in the middle of a statement. */
const BAD = `set -e
mariadb --socket="$1" --user="$2" -e "USE shop; DROP VIEW IF EXISTS totals; DROP TABLE orders; CREATE TABLE made (id INT); UPDATE users.people SET name = 'x'"
echo half >"$3"; exec mariadb --socket="$1" --user="$2" shop -e "SELECT *, SLEEP(600) FROM made, users.people LOCK IN SHARE MODE"`;

const mysql = NO_MYSQL ? undefined : await openMysql();
let root = '';
const opened = mysql
  ? await createLab({
      engines: ['archive'],
      configure: (config, { dir }) => {
        root = join(dir, 'wiki');
        mkdirSync(join(root, 'uploads'), { recursive: true });
        const { socket, user } = mysql.spec('x', []);
        const pidFile = join(dir, 'wiki.pid');
        const argv = ['sh', '-c', 'echo $$ >"$0"; exec sleep 100000', pidFile];
        config.sites = {
          wiki: {
            ...{ app: 'generic', root, repositories: ['local'], limits: { reserve: '10MB' } },
            service: { name: 'wiki', process: { pidFile, start: { argv, cwd: root } } },
            restoreTest: { scratch: config.sites.cms.restoreTest.scratch, sample: '1/1' },
            operations: {
              good: {
                run: ['mariadb', `--socket=${socket}`, `--user=${user}`, '-e', 'INSERT INTO users.people VALUES (1)'],
              },
              bad: { run: ['sh', '-c', BAD, 'sh', socket ?? '', user ?? '', join(dir, 'half')] },
            },
            options: {
              databases: [
                { kind: 'mysql', schemas: ['shop', 'stock'], name: 'shop', grants: true, socket, user },
                { kind: 'mysql', schemas: ['users'], name: 'users', socket, user },
              ],
            },
          },
        };
      },
    })
  : NO_MYSQL || '';
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const opts = { skip };

const spec = (name: string, schemas: string[]) => mysql!.spec(name, schemas);
/** What the live databases hold, and the pid of the application. */
const live = async () => {
  const ctx = await testContext();
  return {
    shop: await mysqlDatabase.live(spec('shop', ['shop', 'stock']), ctx),
    users: await mysqlDatabase.live(spec('users', ['users']), ctx),
    file: readFileSync(join(root, 'uploads/page.txt'), 'utf8'),
  };
};
const ours = async () =>
  (await mysql!.server.query('SHOW DATABASES;')).flat().filter((name) => /__(hf|was)_/.test(name));
const runs = () => lives(Number(readFileSync(join(lab.dir, 'wiki.pid'), 'utf8')));
const wreck = async () => {
  await mysql!.server.execute(`USE shop; DELETE FROM orders; DROP VIEW totals; CREATE TABLE later (id INT); DROP TABLE stock.items;
    UPDATE users.people SET name = 'nobody';`);
  writeFileSync(join(root, 'uploads/page.txt'), 'overwritten');
};
let captured: Awaited<ReturnType<typeof live>>;

before(async () => {
  if (skip) return;
  await mysql!.fill(
    'shop',
    `CREATE TABLE orders (id INT PRIMARY KEY, note TEXT); INSERT INTO orders VALUES (1, 'ü'), (2, 'b'); CREATE VIEW totals AS SELECT COUNT(*) FROM orders;
    CREATE TRIGGER numbered BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = CONCAT(NEW.id, NEW.note);`,
  );
  await mysql!.fill('stock', 'CREATE TABLE items (id INT PRIMARY KEY); INSERT INTO items VALUES (1), (2), (3);');
  await mysql!.fill('users', "CREATE TABLE people (name VARCHAR(9)); INSERT INTO people VALUES ('anna');");
  writeFileSync(join(root, 'uploads/page.txt'), 'a page');
  spawn('sh', ['-c', 'echo $$ >"$0"; exec sleep 100000', join(lab.dir, 'wiki.pid')], {
    stdio: 'ignore',
    detached: true,
  }).unref();
  await lab.startWatchdog().then(() => lab.startWorker());
});
after(async () => {
  if (!skip) {
    try {
      process.kill(Number(readFileSync(join(lab.dir, 'wiki.pid'), 'utf8')), 'SIGTERM');
    } catch {}
    await lab.end();
  }
  await mysql?.close();
});

test('a site of its config alone is backed up and proven, in a server of the restore test’s own', opts, async () => {
  captured = await live();
  const report = await runPlain(lab, 'backup', { site: 'wiki' });
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(report.failures, []);
  const proven = await runPlain(lab, 'restoreTest', { site: 'wiki' });
  assert.match(proven.said, /^PROVEN: /);
  const checks = new Map(proven.proof?.checks.map(({ name, evidence }) => [name, evidence]));
  assert.equal(checks.get('shop: rows'), '5 rows, as in the manifest');
  assert.match(checks.get('users: tables') ?? '', /^1 tables/);
  assert.ok(runs());
});

test('one database of it is restored in place, the other and the files stay', opts, async () => {
  await wreck();
  const handle = await startPlain(lab, 'restore', { site: 'wiki', only: ['shop'] });
  await approve(handle, 'wiki');
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  assert.ok(
    report.notes.some((note) =>
      /now → then: shop: shop.later 0 → none, shop.orders 0 → 2, stock.items none → 3/.test(note),
    ),
    report.notes.join('\n'),
  );
  const now = await live();
  assert.deepEqual(now.shop, captured.shop);
  assert.notDeepEqual([now.users, now.file], [captured.users, captured.file]);
  assert.equal(now.file, 'overwritten');
  assert.ok(runs());
});

test(
  'all of it is restored in place; what was there before is kept aside, and nothing else is left',
  opts,
  async () => {
    const handle = await startPlain(lab, 'restore', { site: 'wiki' });
    await approve(handle, 'wiki');
    const report = await reportOf(handle);
    assert.equal(report.outcome, 'completed', report.said);
    assert.deepEqual(await live(), captured);
    assert.deepEqual((await mysql!.server.query('SELECT name FROM users.people;')).flat(), ['anna']);
    const kept = await ours();
    assert.equal(kept.length, 5, kept.join(', '));
    assert.ok(kept.every((name) => /__was_/.test(name)));
    const asides = JSON.parse(readFileSync(join(lab.state, 'sites/wiki/aside.json'), 'utf8')) as {
      databases?: unknown[];
    }[];
    assert.deepEqual(
      asides.map(({ databases }) => databases?.length),
      [1, 2],
    );
    const ended = () => strays(lab).filter((line) => !line.endsWith('sleep 100000'));
    // A process that was ended goes a moment later.
    await eventually('nothing of ours runs', 30_000, () => ended().length === 0).catch(() =>
      assert.deepEqual(ended(), []),
    );
  },
);

test('a restore that fails half-way leaves everything as it was, with the application running', opts, async () => {
  await wreck();
  const wrecked = await live();
  const handle = await startPlain(lab, 'restore', { site: 'wiki' });
  await eventually('it is staged', 60_000, async () => (await handle.query<Report>('report')).captureId);
  const staged = (await ours()).find((name) => name.startsWith('users__hf_'));
  // The first one is exchanged by then, and the files are.
  await mysql!.server.execute(`DROP DATABASE \`${staged}\`;`);
  await approve(handle, 'wiki');
  const report = await reportOf(handle).catch((error: Error) => error);
  assert.match(String((report as Report).said ?? report), /what was loaded of users is not there/);
  assert.deepEqual(await live(), wrecked);
  assert.ok(runs());
  assert.deepEqual(
    (await ours()).filter((name) => !kept(name)),
    [],
    'nothing of it is left in the server',
  );
});

test('a guarded change whose worker dies: its databases are as before when the application is back', opts, async () => {
  const before = await live();
  const aside = (await ours()).length;
  const good = await runPlain(lab, 'guardedChange', { site: 'wiki', operation: 'good' });
  assert.equal(good.outcome, 'completed', good.said);
  assert.equal((await live()).users.tables['users.people'], 2);
  assert.equal((await ours()).length, aside, 'what was loaded for it is gone');
  await mysql!.server.execute("DELETE FROM users.people WHERE name = '1';");
  const handle = await startPlain(lab, 'guardedChange', { site: 'wiki', operation: 'bad' });
  await eventually('half of it is done', 60_000, () => existsSync(join(lab.dir, 'half')));
  lab.worker()!.kill('SIGKILL');
  await eventually('the application is back', 50_000, runs);
  assert.deepEqual(await live(), before);
  await lab.startWorker();
  let progress: Progress | undefined;
  await eventually('it asks', 60_000, async () => {
    progress = await handle.query<Progress>('progress');
    return progress.decide;
  });
  assert.deepEqual(progress?.decide, ['rollBack'], 'what it left cannot be put back by itself');
  assert.match(progress?.waitsFor ?? '', /what it left in shop, users is kept in the server for 7 days/);
  const decide = (action: string) => handle.executeUpdate('decide', { args: [{ site: 'wiki', action }] });
  await assert.rejects(decide('keep'));
  await decide('rollBack');
  const report = await reportOf(handle);
  assert.deepEqual([report.outcome, report.rolledBack], ['failed', true]);
  assert.deepEqual(await live(), before);
  const made = (await ours()).filter((name) => /^shop__was_/.test(name));
  const tables = await Promise.all(made.map((name) => mysql!.server.query(`SHOW TABLES IN \`${name}\`;`)));
  assert.ok(tables.flat(2).includes('made'), 'what the operation made is kept');
  assert.ok((await ours()).every(kept));
});

const kept = (name: string) => /__was_/.test(name);
