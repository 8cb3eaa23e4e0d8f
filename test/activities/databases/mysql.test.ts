import assert from 'node:assert/strict';
import { access, chown, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { mysqlDatabase as database } from '../../../activities/databases/mysql.js';
import { withScratchServer } from '../../../activities/databases/mysql-scratch.js';
import { splitDump } from '../../../activities/databases/mysql-split.js';
import { readText } from '../../../activities/databases/mysql-text.js';
import { sqlName } from '../../../activities/tools/mysql.js';
import { isFailure } from '../../../src/core/failures.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { testContext } from '../../support/context.js';
import { type LiveMysql, NO_MYSQL, openMysql } from '../../support/mysql-server.js';
import { eventually } from '../../support/toy.js';
import { temporary } from '../../support/videocms-site.js';

const skip = NO_MYSQL;
const live = skip ? (undefined as unknown as LiveMysql) : await openMysql();
after(() => live?.close());

/** What trips whoever reads a dump line by line: names, texts that look like SQL, bytes, generated columns, code with inserts in it. */
const ODD = 'o`d "VALUES" d\'s; ü\\';
const odd = sqlName(ODD);
const notes = (rows: number) => `
CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, text TEXT, raw LONGBLOB, twice INT AS (id * 2));
INSERT INTO notes (text, raw) SELECT CONCAT('it''s (', seq, '),(\\\\; \\nINSERT INTO \`notes\` VALUES (1);\\n-- Dump completed\\n ü😀'), 0x00275C0A29 FROM seq_1_to_${rows};
CREATE TABLE ${odd} (${odd} INT, PRIMARY KEY (${odd})) COMMENT 'ends with ; and a '' quote;';
INSERT INTO ${odd} VALUES (1), (2), (3);
CREATE TABLE child (id INT PRIMARY KEY, odd INT, FOREIGN KEY (odd) REFERENCES ${odd} (${odd}));
INSERT INTO child VALUES (1, 1), (2, NULL);
CREATE TABLE empty (x INT) COMMENT 'line one\\nINSERT INTO \`notes\` VALUES (1);';
CREATE SEQUENCE counter;
CREATE VIEW seen AS SELECT id FROM notes; CREATE VIEW a_view AS SELECT * FROM seen;
DELIMITER ;;
create trigger made BEFORE INSERT ON child FOR EACH ROW BEGIN
INSERT INTO \`empty\` VALUES (1);
END;;
CREATE PROCEDURE fill() BEGIN
INSERT INTO \`notes\` VALUES (1);
END;;
CREATE FUNCTION one() RETURNS INT DETERMINISTIC RETURN 1;;
CREATE EVENT sometimes ON SCHEDULE EVERY 1 DAY DO INSERT INTO \`empty\` VALUES (7);;
DELIMITER ;
`;

const idOf = async (which: string) =>
  (await live.server.query(`SELECT ID FROM information_schema.PROCESSLIST WHERE ${which};`))[0]?.[0];

let count = 0;
const filled = async (script: string, schema = `d${++count}`): Promise<string> => {
  await live.fill(schema, script);
  return schema;
};
const is =
  (...types: Parameters<typeof isFailure>[1][]) =>
  (error: unknown) =>
    isFailure(error, ...types);

if (!skip)
  databaseSuite('mysql', {
    database,
    notes: 'suite.notes',
    forms: [{ format: 'sql', mode: 'stopped' }],
    make: async (_, rows) => ({ spec: live.spec('shop', [await filled(notes(rows), 'suite')]), stop: async () => {} }),
    missing: () => live.spec('shop', ['not `there`']),
    empty: async () => live.spec('shop', [await filled('CREATE VIEW v AS SELECT 1;')]),
  });

describe('mysql', { skip }, () => {
  it('dumps several schemas as one, counts what the dump holds, and keeps it to itself', async () => {
    const ctx = await testContext();
    const spec = live.spec('shop', [
      await filled(notes(7), 'a`b ; ü-c'),
      await filled('CREATE TABLE t (a INT); INSERT INTO t VALUES (1);'),
    ]);
    const into = temporary();
    const dumped = await database.dump(spec, into, undefined, ctx);
    const [first, second] = spec.schemas;
    assert.deepEqual(dumped.fingerprint.tables, {
      [`${second}.t`]: 1,
      [`${first}.child`]: 2,
      [`${first}.empty`]: 0,
      [`${first}.notes`]: 7,
      [`${first}.${ODD}`]: 3,
    });
    assert.deepEqual(await database.live(spec, ctx), dumped.fingerprint);
    assert.equal((await stat(join(into, dumped.file))).mode & 0o777, 0o600);
    assert.deepEqual(
      await database.load(join(into, dumped.file), 'sql', join(into, 'scratch'), ctx),
      dumped.fingerprint,
    );
    await live.server.execute(`ALTER TABLE \`${second}\`.t ADD b INT;`);
    assert.notEqual((await database.live(spec, ctx)).schemaSha256, dumped.fingerprint.schemaSha256);
    assert.deepEqual(ctx.notes, []);
  });

  it('shows one moment of all schemas while somebody writes, by the locks of a table without transactions too', async () => {
    for (const engine of ['InnoDB', 'MyISAM']) {
      const ctx = await testContext();
      const [a, b] = [
        await filled(`CREATE TABLE orders (id INT PRIMARY KEY) ENGINE=${engine};`),
        await filled(`CREATE TABLE bills (id INT PRIMARY KEY) ENGINE=${engine};`),
      ];
      const spec = live.spec('shop', [a, b]);
      let stop = false;
      const writer = (async () => {
        // An order first, its bill after it: a bill without its order is a dump of two moments.
        for (let id = 0; !stop; id += 40) {
          const lines = Array.from(
            { length: 40 },
            (_, i) => `INSERT INTO ${a}.orders VALUES (${id + i}); INSERT INTO ${b}.bills VALUES (${id + i});`,
          );
          await live.server.execute(lines.join('\n'));
        }
      })();
      const into = temporary();
      const dumps: Record<string, number>[] = [];
      const grew = () => (dumps.at(-1)?.[`${a}.orders`] ?? 0) > (dumps[0]?.[`${a}.orders`] ?? 0);
      while (dumps.length < 3 || !grew())
        dumps.push((await database.dump(spec, into, undefined, ctx)).fingerprint.tables);
      stop = true;
      await writer;
      for (const tables of dumps) {
        const [orders, bills] = [tables[`${a}.orders`] ?? -1, tables[`${b}.bills`] ?? -1];
        assert.ok(orders === bills || orders === bills + 1, `${engine}: ${orders} orders, ${bills} bills`);
      }
      const noted = /2 tables \(.*\) have no transactions, so tables were locked.*writers waited/;
      assert.equal(
        ctx.notes.some((note) => noted.test(note)),
        engine === 'MyISAM',
        ctx.notes.join('\n'),
      );
    }
  });

  it('refuses with what to do: a wrong password, a right that lacks, a schema that is not there, no server', async () => {
    const ctx = await testContext();
    const schema = await filled(notes(1));
    await live.server.execute(`CREATE USER 'few'@'localhost' IDENTIFIED BY 'pass "word\\\\ #;'; GRANT SELECT ON ${schema}.empty TO 'few'@'localhost';
      CREATE USER 'most'@'localhost' IDENTIFIED BY 'pass "word\\\\ #;'; GRANT ALL ON ${schema}.* TO 'most'@'localhost'; GRANT SELECT ON mysql.proc TO 'most'@'localhost';
      CREATE USER 'some'@'localhost' IDENTIFIED BY 'pass "word\\\\ #;'; GRANT ALL ON ${schema}.* TO 'some'@'localhost';`);
    const password = join(temporary(), 'password');
    await writeFile(password, 'pass "word\\ #;\n', { mode: 0o600 });
    const spec = live.spec('shop', [schema], { user: 'most', password: { file: password } });
    await database.preflight(spec, ctx);
    await assert.rejects(database.preflight({ ...spec, user: 'few' }, ctx), is('DatabaseDenied', 'DatabaseMissing'));
    await assert.rejects(database.preflight({ ...spec, user: 'some' }, ctx), (error) => {
      assert.ok(isFailure(error, 'DatabaseDenied'));
      return /may not read the text of a routine; grant it/.test(error.message);
    });
    const other = await testContext();
    await writeFile(password, 'WRONG-1234');
    await assert.rejects(database.preflight(spec, other), (error) => {
      assert.ok(isFailure(error, 'DatabaseDenied'));
      assert.match(error.message, /refuses this user or password \(error 1045\); correct user and password/);
      return true;
    });
    assert.doesNotMatch((await other.logText()) + (await ctx.logText()), /WRONG-1234|pass .word/);
    await assert.rejects(
      database.dump({ ...spec, socket: '/nowhere/s' }, temporary(), undefined, ctx),
      is('DatabaseUnreachable'),
    );
    await assert.rejects(database.preflight(live.spec('shop', [schema, 'mine']), ctx), (error) => {
      assert.ok(isFailure(error, 'DatabaseMissing'));
      return /no schema mine/.test(error.message);
    });
  });

  it('a server that breaks off in mid-dump is a failure that passes soon, and no dump', async () => {
    const ctx = await testContext();
    const schema = await filled(
      'CREATE TABLE a (x INT); INSERT INTO a VALUES (1); CREATE TABLE locked (x INT) ENGINE=MyISAM;',
    );
    const into = temporary();
    const held = assert.rejects(live.server.execute(`LOCK TABLES \`${schema}\`.locked WRITE; DO SLEEP(600);`));
    await eventually('it is locked', 60_000, () => idOf("INFO = 'DO SLEEP(600)'"));
    const dumping = database.dump(live.spec('shop', [schema]), into, undefined, ctx);
    const ended = assert.rejects(dumping, (error) => {
      assert.ok(isFailure(error, 'DatabaseUnreachable'), String(error));
      return !error.nonRetryable;
    });
    await eventually('the dump waits', 60_000, () => idOf("STATE LIKE '%metadata lock%'"));
    await live.server.execute(`KILL CONNECTION ${await idOf("STATE LIKE '%metadata lock%'")};`);
    await ended;
    await live.server.execute(`KILL CONNECTION ${await idOf("INFO = 'DO SLEEP(600)'")};`);
    await held;
  });

  it('reads a dump the same way in pieces of any size', async () => {
    const ctx = await testContext();
    const into = temporary();
    const { file, fingerprint } = await database.dump(
      live.spec('shop', [await filled(notes(3), 'pieces')]),
      into,
      undefined,
      ctx,
    );
    const text = await readFile(join(into, file));
    for (const size of [1, 2, 3, 7, 13, 64, 1000]) {
      const reader = readText();
      const { data, objects } = splitDump((schema) => `${schema}_2`);
      const tables: Buffer[] = [];
      data.on('data', (piece: Buffer) => tables.push(piece));
      for (let at = 0; at < text.length; at += size) {
        reader.push(text.subarray(at, at + size));
        data.write(text.subarray(at, at + size));
      }
      await new Promise<void>((done) => data.end(done));
      const read = reader.end();
      assert.deepEqual([read.fingerprint, read.whole], [fingerprint, true], `pieces of ${size}`);
      const rest = Buffer.concat(tables).toString();
      assert.match(rest, /USE `pieces_2`;/);
      assert.doesNotMatch(rest, /TRIGGER|EVENT|PROCEDURE|VIEW `/);
      assert.equal(objects.filter((each) => /^\/\*!50003 CREATE\*\/.* trigger/.test(each)).length, 1);
    }
  });

  it('keeps the accounts that have rights on the schemas, and no others', async () => {
    const ctx = await testContext();
    const schema = await filled('CREATE TABLE t (a INT);', 'shop_9');
    await live.server.execute(`CREATE USER 'app'@'%' IDENTIFIED BY 'secret'; GRANT SELECT, INSERT ON \`shop\\_9\`.* TO 'app'@'%';
      CREATE USER 'reader'@'localhost'; GRANT SELECT ON shop_9.t TO 'reader'@'localhost'; CREATE USER 'other'@'%'; GRANT ALL ON other.* TO 'other'@'%';`);
    const into = temporary();
    const { also, file } = await database.dump(live.spec('shop', [schema], { grants: true }), into, undefined, ctx);
    assert.equal(also?.length, 1);
    const grants = join(into, also![0]!.file);
    assert.equal((await stat(grants)).mode & 0o777, 0o600);
    const text = await readFile(grants, 'utf8');
    assert.doesNotMatch(text, /other/);
    // On a new server the dump and the accounts are all that it takes.
    await withScratchServer([join(into, file)], temporary(), ctx, async (server) => {
      await server.execute(text);
      assert.match(
        (await server.query("SHOW GRANTS FOR 'app'@'%';")).flat().join('\n'),
        /GRANT SELECT, INSERT ON `shop\\_9`/,
      );
      assert.match((await server.query("SHOW GRANTS FOR 'reader'@'localhost';")).flat().join('\n'), /`shop_9`.`t`/);
    });
  });

  it('knows a cut dump by its end, one without its middle by its rows, and one that does not load', async () => {
    const ctx = await testContext();
    const into = temporary();
    const { file, fingerprint, bytes } = await database.dump(
      live.spec('shop', [await filled(notes(50))]),
      into,
      undefined,
      ctx,
    );
    const path = join(into, file);
    const whole = await readFile(path, 'utf8');
    await truncate(path, bytes - 3);
    await assert.rejects(database.load(path, 'sql', join(into, 's'), ctx), is('DumpIncomplete'));
    await writeFile(path, whole.replace(/^\(25,.*\n/m, ''));
    const less = await database.load(path, 'sql', join(into, 's'), ctx);
    assert.notDeepEqual(less.tables, fingerprint.tables);
    await writeFile(path, whole.replace('CREATE TABLE `child`', 'CREATE TABEL `child`'));
    await assert.rejects(database.load(path, 'sql', join(into, 's'), ctx), is('DatabaseCorrupt'));
    await assert.rejects(stat(join(into, 's')), { code: 'ENOENT' });
  });

  it('the server of a load has no network, runs no event and is not root; cancelled, it leaves nothing', async () => {
    const ctx = await testContext();
    const dir = temporary();
    let pid = 0;
    // As another server of the same user has one while it answers a query.
    const table = join(tmpdir(), `#sql-temptable-test-${process.pid}.MAI`);
    await writeFile(table, '');
    if (process.getuid?.() === 0)
      await chown(table, Number((await ctx.run('id', ['-u', 'mysql'], { ok: [0, 1] })).stdout) || 65534, 65534);
    const running = withScratchServer([], dir, ctx, async (server) => {
      assert.deepEqual(await server.query('SELECT @@skip_networking, @@event_scheduler;'), [['1', 'OFF']]);
      pid = Number(await readFile(join(dir, 'data', 'pid'), 'utf8'));
      await access(table);
      await rm(table);
      if (ctx.notes.length === 0) assert.notEqual((await stat(`/proc/${pid}`)).uid, 0);
      await assert.rejects(server.query("SELECT 1 INTO OUTFILE '/tmp/holdfast-outfile';"), is('ToolFailed'));
      setImmediate(() => ctx.cancel(new Error('enough')));
      await server.query('SELECT SLEEP(600);');
    });
    await assert.rejects(running, /enough/);
    assert.ok(pid > 0);
    assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    await assert.rejects(stat(join(dir, 'data')), { code: 'ENOENT' });
    await rm(dir, { recursive: true });
  });
});
