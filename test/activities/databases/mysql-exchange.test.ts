import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { Context, Dumped } from '../../../activities/contracts.js';
import { mysqlDatabase as database } from '../../../activities/databases/mysql.js';
import { mysqlExchange as exchange } from '../../../activities/databases/mysql-exchange.js';
import type { MysqlSpec } from '../../../activities/tools/mysql.js';
import { isFailure } from '../../../src/core/failures.js';
import { type TestContext, testContext } from '../../support/context.js';
import { type LiveMysql, NO_MYSQL, openMysql } from '../../support/mysql-server.js';
import { eventually } from '../../support/toy.js';
import { temporary } from '../../support/videocms-site.js';
import { openDockerd } from '../services/support/dockerd.js';

const skip = NO_MYSQL;
const live = skip ? (undefined as unknown as LiveMysql) : await openMysql();
after(() => live?.close());

/** Two schemas that name each other, with all that no RENAME TABLE moves. */
const SHOP = `
CREATE TABLE orders (id INT PRIMARY KEY); INSERT INTO orders VALUES (1), (2), (3);
CREATE TABLE \`it's a "line"\` (id INT AUTO_INCREMENT PRIMARY KEY, order_id INT, FOREIGN KEY (order_id) REFERENCES orders (id));
INSERT INTO \`it's a "line"\` (order_id) VALUES (1), (1), (2);
CREATE TABLE gone (id INT); CREATE SEQUENCE counter;
CREATE VIEW seen AS SELECT * FROM orders; CREATE VIEW both_of AS SELECT * FROM seen;
DELIMITER ;;
CREATE TRIGGER made BEFORE INSERT ON orders FOR EACH ROW BEGIN
SET NEW.id = NEW.id + 1000; END;;
CREATE PROCEDURE ask() BEGIN SELECT COUNT(*) FROM orders; END;;
CREATE EVENT sometimes ON SCHEDULE EVERY 1 DAY DO INSERT INTO gone VALUES (7);;
DELIMITER ;
`;
const USERS =
  'CREATE TABLE `üser` (id INT PRIMARY KEY); INSERT INTO `üser` VALUES (1); CREATE VIEW buyers AS SELECT id FROM `the shop`.orders;';
const [A, B] = ['the shop', 'users'];

describe('the exchange of schemas', { skip }, () => {
  let spec: MysqlSpec;
  let ctx: TestContext;
  let dumped: Dumped;
  let file: string;
  const fence = { lockFile: join(temporary(), 'lock'), epochFile: join(temporary(), 'epoch'), epoch: 1 };
  writeFileSync(fence.epochFile, '1\n');
  let run = 0;
  let tag = '';

  const now = () => database.live(spec, ctx);
  const schemas = async () => (await live.server.query('SHOW DATABASES;')).flat().filter((name) => name.includes(tag));
  /** After the dump: rows went and changed, a table and a view came, a table and a trigger went. */
  const wreck = () =>
    live.server.execute(`USE \`${A}\`; DROP TRIGGER made; DELETE FROM \`it's a "line"\`; DROP TABLE gone; CREATE TABLE newer (id INT);
      INSERT INTO newer VALUES (1), (2); CREATE VIEW newest AS SELECT * FROM newer; UPDATE \`${B}\`.\`üser\` SET id = 7;`);
  before(async () => {
    await live.fill(A, SHOP);
    await live.fill(B, USERS);
    spec = live.spec('shop', [A, B]);
    ctx = await testContext();
    const into = temporary();
    dumped = await database.dump(spec, into, undefined, ctx);
    file = join(into, dumped.file);
  });
  const fresh = async () => {
    tag = `run${++run}`;
    await live.fill(A, SHOP);
    await live.fill(B, USERS);
    await wreck();
    return now();
  };

  /** A context that dies in the script that has this line, before or after it: what was sent by then the server has done. */
  const killedAt = async (line: RegExp, after = 0): Promise<Context> => {
    const mortal = await testContext();
    return {
      ...mortal,
      run: async (program, args, options) => {
        const lines = typeof options?.input === 'string' ? options.input.split('\n') : [];
        const at = lines.findIndex((each) => line.test(each));
        if (at < 0) return mortal.run(program, args, options);
        await mortal.run(program, args, { ...options, input: `${lines.slice(0, at + after).join('\n')}\n` });
        throw new Error(`killed at ${line}`);
      },
    };
  };

  it('brings back every table, row, view, trigger, routine and event, and takes all of that back', async () => {
    const wrecked = await fresh();
    const { said } = await exchange.stage(spec, file, tag, ctx);
    assert.equal(said, 'shop: 7 rows in 4 tables loaded beside the live ones');
    assert.deepEqual(await now(), wrecked, 'the application goes on as it was');
    await exchange.exchange(spec, tag, fence, ctx);
    assert.deepEqual(await now(), dumped.fingerprint);
    await assert.rejects(
      live.server.execute(`INSERT INTO \`${A}\`.\`it's a "line"\` (order_id) VALUES (99);`),
      'its keys hold',
    );
    await exchange.exchange(spec, tag, fence, ctx);
    assert.deepEqual(await now(), dumped.fingerprint, 'a repeat changes nothing');
    await exchange.takeBack(spec, tag, ctx);
    assert.deepEqual(await now(), wrecked);
    await exchange.takeBack(spec, tag, ctx);
    assert.deepEqual(await now(), wrecked, 'a repeat changes nothing');
    assert.deepEqual(await schemas(), [`${A}__hf_${tag}`, `${B}__hf_${tag}`]);

    await exchange.exchange(spec, tag, fence, ctx);
    assert.deepEqual(await now(), dumped.fingerprint, 'another section does it again');
    await exchange.unstage(spec, tag, ctx);
    assert.deepEqual(await schemas(), [`${A}__was_${tag}`, `${B}__was_${tag}`]);
    assert.equal((await live.server.query(`SELECT COUNT(*) FROM \`${A}__was_${tag}\`.newer;`))[0]?.[0], '2');
    await exchange.drop(spec, tag, ctx);
    await exchange.drop(spec, tag, ctx);
    assert.deepEqual(await schemas(), []);
    assert.deepEqual(await now(), dumped.fingerprint);
  });

  it('killed anywhere and repeated, or taken back, it comes to the same end', async () => {
    const wrecked = await fresh();
    await exchange.stage(spec, file, tag, ctx);
    const takenBack = async (where: string) => {
      await exchange.takeBack(spec, tag, ctx);
      assert.deepEqual(await now(), wrecked, `${where}, taken back`);
    };
    await assert.rejects(exchange.exchange(spec, tag, fence, await killedAt(/CREATE TABLE IF NOT EXISTS/)), /killed/);
    await takenBack('before all was kept');
    const moments: [string, RegExp, number][] = [
      ['some dropped', /^DROP VIEW/, 1],
      ['one schema moved', /^RENAME TABLE/, 1],
      ['some made anew', /PROCEDURE|VIEW `(seen|newest)` AS select/, 1],
    ];
    for (const [where, line, past] of moments) {
      const killed = () => killedAt(line, past);
      await assert.rejects(exchange.exchange(spec, tag, fence, await killed()), /killed/, where);
      await takenBack(where);
      await assert.rejects(exchange.exchange(spec, tag, fence, await killed()), /killed/, where);
      await exchange.exchange(spec, tag, fence, ctx);
      assert.deepEqual(await now(), dumped.fingerprint, `${where}, gone on`);
      await assert.rejects(exchange.takeBack(spec, tag, await killed()), /killed/, `${where}, back`);
      await assert.rejects(exchange.takeBack(spec, tag, await killedAt(/^DROP DATABASE/, 1)), /killed/);
      await takenBack(`${where}, back`);
    }
    await exchange.drop(spec, tag, ctx);
    assert.deepEqual(await schemas(), []);
  });

  it('brings back a schema that was dropped, with its character set, and moves what came since away', async () => {
    await fresh();
    await exchange.stage(spec, file, tag, ctx);
    await live.server.execute(`DROP DATABASE \`${A}\`;`);
    await exchange.exchange(spec, tag, fence, ctx);
    assert.deepEqual(await now(), dumped.fingerprint);
    await live.server.execute(`CREATE TABLE \`${A}\`.made_later (id INT); INSERT INTO \`${A}\`.made_later VALUES (5);`);
    await exchange.takeBack(spec, tag, ctx);
    assert.deepEqual(await live.server.query(`SHOW TABLES IN \`${A}\`;`), []);
    // Its view of the schema that was not there was broken before, too.
    assert.match(ctx.notes.at(-1) ?? '', /1 of 1 users VIEW could not be put back/);
    assert.deepEqual(await live.server.query(`SELECT id FROM \`${A}__hf_${tag}\`.made_later;`), [['5']]);
    await exchange.drop(spec, tag, ctx);
  });

  it('what the application has worked on before it was taken back is not put in place again', async () => {
    await fresh();
    await exchange.stage(spec, file, tag, ctx);
    await exchange.exchange(spec, tag, fence, ctx);
    // The server tells when a table was changed to the second alone.
    await live.server.execute(`DO SLEEP(1.1); UPDATE \`${B}\`.\`üser\` SET id = 99;`);
    await exchange.takeBack(spec, tag, ctx);
    await assert.rejects(exchange.exchange(spec, tag, fence, ctx), (error) => {
      assert.ok(isFailure(error, 'RestoreFailed'));
      return /had run on the restored shop/.test(error.message);
    });
    await exchange.drop(spec, tag, ctx);
    await assert.rejects(exchange.exchange(spec, tag, fence, ctx), /what was loaded of shop is not there/);
  });

  it('shows out whoever keeps tables in use, on the way there and back', async () => {
    const wrecked = await fresh();
    await exchange.stage(spec, file, tag, ctx);
    const visit = async () => {
      const script = `USE \`${B}\`; START TRANSACTION; SELECT * FROM \`${A}\`.orders; SELECT SLEEP(600) AS guest;`;
      const visitor = ctx.run('mariadb', ['--user=root', `--socket=${spec.socket}`, '-e', script]);
      visitor.catch(() => {});
      const guest = `SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%AS guest%' AND ID <> CONNECTION_ID();`;
      await eventually('a visitor is in', 60_000, async () => (await live.server.query(guest))[0]?.[0] === '1');
      return { visitor };
    };
    const first = await visit();
    await exchange.exchange(spec, tag, fence, ctx);
    await assert.rejects(first.visitor);
    assert.deepEqual(await now(), dumped.fingerprint);
    const second = await visit();
    await exchange.takeBack(spec, tag, ctx);
    await assert.rejects(second.visitor);
    assert.deepEqual(await now(), wrecked);
    await exchange.drop(spec, tag, ctx);
  });

  it('what a killed exchange left waiting in the server comes to its end before it is taken back', async () => {
    const wrecked = await fresh();
    await exchange.stage(spec, file, tag, ctx);
    const states = async (what: string) =>
      Number((await live.server.query(`SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ${what};`))[0]?.[0]);
    // Of no schema of ours, so that nobody shows it out.
    const script = `USE mysql; START TRANSACTION; SELECT * FROM \`${A}\`.orders; SELECT SLEEP(600) AS guest;`;
    const guest = ctx.run('mariadb', ['--user=root', `--socket=${spec.socket}`, '-e', script]);
    guest.catch(() => {});
    await eventually(
      'a table is in use',
      60_000,
      async () => (await states(`INFO LIKE '%AS guest%' AND DB = 'mysql'`)) === 1,
    );
    const mortal = await testContext();
    const killed = exchange.exchange(spec, tag, fence, mortal);
    killed.catch(() => {});
    await eventually('the rename waits', 60_000, async () => (await states(`INFO LIKE 'RENAME TABLE%'`)) === 1);
    mortal.cancel(new Error('killed'));
    await assert.rejects(killed, /killed/);
    assert.equal(await states(`INFO LIKE 'RENAME TABLE%'`), 1, 'the server goes on without its client');
    const back = exchange.takeBack(spec, tag, ctx);
    back.catch(() => {});
    await eventually('it waits for that', 60_000, async () => (await states(`INFO LIKE 'SELECT GET_LOCK%'`)) === 1);
    const [[id] = []] = await live.server.query(
      `SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%AS guest%' AND DB = 'mysql';`,
    );
    await live.server.execute(`KILL ${id};`);
    await back;
    assert.deepEqual(await now(), wrecked);
    await exchange.exchange(spec, tag, fence, ctx);
    assert.deepEqual(await now(), dumped.fingerprint);
    await exchange.drop(spec, tag, ctx);
    assert.deepEqual(await schemas(), []);
  });

  it('does not call it restored where somebody made a table meanwhile', async () => {
    const wrecked = await fresh();
    await exchange.stage(spec, file, tag, ctx);
    const busy: Context = {
      ...ctx,
      run: async (program, args, options) => {
        if (typeof options?.input === 'string' && options.input.includes('RENAME TABLE'))
          await live.server.execute(`CREATE TABLE \`${A}\`.crept_in (id INT);`);
        return ctx.run(program, args, options);
      },
    };
    await assert.rejects(exchange.exchange(spec, tag, fence, busy), (error) => {
      assert.ok(isFailure(error, 'RestoreFailed'));
      return /shop is not what was restored: crept_in/.test(error.message);
    });
    // As whoever recovers does it: until it is done.
    const back = () => exchange.takeBack(spec, tag, ctx).then(() => true, console.log);
    await eventually('the state from before is back', 60_000, back);
    assert.deepEqual(await now(), wrecked);
    await exchange.drop(spec, tag, ctx);
  });

  it('refuses before anything stops what it could not put back for want of a right', async () => {
    await fresh();
    const password = join(temporary(), 'password');
    writeFileSync(password, 'p');
    await live.server.execute(
      `CREATE USER IF NOT EXISTS app@localhost IDENTIFIED BY 'p'; GRANT ALL ON \`app%\`.* TO app@localhost;
       CREATE OR REPLACE DATABASE app; CREATE TABLE app.t (id INT);`,
    );
    const mine: MysqlSpec = { ...live.spec('app', ['app']), user: 'app', password: { file: password } };
    const into = temporary();
    const { file: bare } = await database.dump(mine, into, undefined, ctx);
    await exchange.stage(mine, join(into, bare), tag, ctx);
    // Made by somebody else: the account may neither read it nor make it anew.
    await live.server.execute('CREATE VIEW app.v AS SELECT * FROM app.t;');
    const staging = exchange.stage(mine, join(into, bare), tag, ctx);
    await assert.rejects(staging, (error) => {
      assert.ok(isFailure(error, 'RestoreRefused'));
      return /could not put its views, triggers or routines back/.test(error.message);
    });
    await exchange.drop(mine, tag, ctx);
  });

  it('refuses before anything stops what it could not exchange safely', async () => {
    await fresh();
    const refused = (error: unknown) => isFailure(error, 'RestoreRefused');
    await assert.rejects(exchange.stage({ ...spec, schemas: [A] }, file, tag, ctx), refused);
    await live.server.execute(
      `CREATE TABLE \`${B}\`.bound (id INT, FOREIGN KEY (id) REFERENCES \`${A}\`.orders (id));`,
    );
    await assert.rejects(exchange.stage(spec, file, tag, ctx), (error) => {
      assert.ok(isFailure(error, 'RestoreRefused'));
      return /users\.bound.*refers from one schema into another/.test(error.message);
    });
    await exchange.drop(spec, tag, ctx);
    await live.server.execute(`DROP TABLE \`${B}\`.bound;`);
  });

  it('works inside the container that the server runs in', async (t) => {
    const dockerd = await openDockerd();
    if (typeof dockerd === 'string') return t.skip(dockerd);
    const outside = process.env.DOCKER_HOST;
    try {
      process.env.DOCKER_HOST = dockerd.env.DOCKER_HOST;
      const labels = { project: 'cms', service: 'db', oneoff: 'False' };
      const flags = Object.entries(labels).flatMap(([name, value]) => ['-l', `com.docker.compose.${name}=${value}`]);
      // This machine's programs and the socket of the tests' server: what an image of MariaDB has inside.
      const inside = [
        '/usr:/usr:ro',
        '/usr/lib:/lib:ro',
        '/usr/lib64:/lib64:ro',
        `${dirname(spec.socket ?? '')}:/run/db`,
      ];
      dockerd.docker(
        'run',
        '-d',
        '--network',
        'none',
        ...flags,
        ...inside.flatMap((each) => ['-v', each]),
        'bb:1',
        'sleep',
        '1000',
      );
      await live.server.execute(
        "CREATE USER IF NOT EXISTS 'admin'@'localhost' IDENTIFIED BY 'in \\'the\\' \"box\"'; GRANT ALL ON *.* TO 'admin'@'localhost' WITH GRANT OPTION;",
      );
      const password = join(temporary(), 'password');
      writeFileSync(password, 'in \'the\' "box"');
      const container = { file: '/nowhere/docker-compose.yaml', project: 'cms', service: 'db' };
      const boxed = { ...spec, socket: '/run/db/s', user: 'admin', password: { file: password }, container };
      await fresh();
      const into = temporary();
      const { tools } = await database.preflight(boxed, ctx);
      assert.match(tools['mariadb-dump'] ?? '', /^\d+\.\d+\.\d+$/);
      await exchange.stage(boxed, file, tag, ctx);
      await exchange.exchange(boxed, tag, fence, ctx);
      const again = await database.dump(boxed, into, undefined, ctx);
      assert.deepEqual(again.fingerprint, dumped.fingerprint);
      await exchange.drop(boxed, tag, ctx);
      assert.doesNotMatch(await ctx.logText(), /the. .box/);
    } finally {
      process.env.DOCKER_HOST = outside;
      if (outside === undefined) delete process.env.DOCKER_HOST;
      await dockerd.close();
    }
  });
});
