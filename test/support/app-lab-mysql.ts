import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AppSite, filesIn } from './app-site.js';
import type { Lab } from './lab.js';
import { NO_MYSQL, openMysql } from './mysql-server.js';
import { eventually, lives } from './toy.js';

const SCHEMAS = ['shop', 'stock', 'users'];

/** A site of parts with three schemas in two dumps, views and triggers among them, and a process. */
export async function mysqlApp(lab: Lab): Promise<AppSite | string> {
  if (NO_MYSQL) return NO_MYSQL;
  const mysql = await openMysql();
  const [root, pidFile] = [join(lab.dir, 'app/wiki'), join(lab.dir, 'app/wiki.pid')];
  mkdirSync(join(root, 'uploads'), { recursive: true, mode: 0o755 });
  await mysql.fill(
    'shop',
    `CREATE TABLE orders (id INT PRIMARY KEY, note TEXT); CREATE VIEW totals AS SELECT COUNT(*) FROM orders;
    CREATE TRIGGER numbered BEFORE INSERT ON orders FOR EACH ROW SET NEW.note = CONCAT(NEW.id, NEW.note);`,
  );
  await mysql.fill('stock', 'CREATE TABLE items (id INT PRIMARY KEY);');
  await mysql.fill('users', 'CREATE TABLE people (name VARCHAR(9));');
  const { socket, user } = mysql.spec('x', []);
  const argv = ['sh', '-c', 'echo $$ >"$0"; exec sleep 100000', pidFile];
  await lab.configure(({ sites }) => {
    sites.cms = {
      ...{ app: 'generic', root, repositories: ['nas', 'local'], limits: { reserve: '10MB' } },
      service: { name: 'wiki', process: { pidFile, start: { argv, cwd: root } } },
      restoreTest: { scratch: lab.scratch, sample: '1/1' },
      options: {
        databases: [
          { kind: 'mysql', schemas: ['shop', 'stock'], name: 'shop', grants: true, socket, user },
          { kind: 'mysql', schemas: ['users'], name: 'users', socket, user },
        ],
      },
    };
  });
  const pid = () => {
    const found = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
    return found && isWiki(found, pidFile) ? found : undefined;
  };
  const end = async (signal: NodeJS.Signals) => {
    const running = pid();
    if (!running) return;
    process.kill(running, signal);
    await eventually('wiki has ended', 60_000, () => !lives(running));
  };
  const start = async () => {
    if (pid()) return;
    spawn('sh', argv.slice(1), { stdio: 'ignore', detached: true }).unref();
    await eventually('wiki runs', 60_000, pid);
  };
  const query = async (sql: string) => (await mysql.server.query(sql)).flat().join(' ');
  const rows = async (at: (schema: string) => string) => [
    `orders: ${await query(`SELECT id, note FROM \`${at('shop')}\`.orders ORDER BY id;`)}`,
    `totals: ${await query(`SELECT * FROM \`${at('shop')}\`.totals;`)}`,
    `triggers: ${await query(`SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '${at('shop')}';`)}`,
    `items: ${await query(`SELECT id FROM \`${at('stock')}\`.items ORDER BY id;`)}`,
    `people: ${await query(`SELECT name FROM \`${at('users')}\`.people ORDER BY name;`)}`,
    `tables: ${await query(`SELECT REPLACE(table_schema, 'bare_', ''), table_name FROM information_schema.tables WHERE table_schema IN (${SCHEMAS.map((each) => `'${at(each)}'`).join(', ')}) ORDER BY 1, 2;`)}`,
  ];
  const names = async () =>
    (await mysql.server.query('SHOW DATABASES;')).flat().filter((name) => /__(hf|was)_/.test(name));
  return {
    root,
    repositories: ['nas', 'local'],
    service: true,
    up: async () => pid() !== undefined,
    down: async () => pid() === undefined,
    start,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
    pids: () => [pid() ?? []].flat(),
    look: async () => [...(await rows((schema) => schema)), ...(await filesIn(root, /^$/))],
    lookIn: async (tree, staging) => {
      const dumps = execFileSync('find', [join(staging, 'databases'), '-name', '*.sql', '-not', '-name', '*grants*'], {
        encoding: 'utf8',
      });
      const bare = (schema: string) => `bare_${schema}`;
      try {
        for (const file of dumps.trim().split('\n')) {
          const text = readFileSync(file, 'utf8').replace(/`(shop|stock|users)`/g, '`bare_$1`');
          await mysql.server.execute(text);
        }
        const staged = readdirSync(join(staging, 'files')).map((name) => join(staging, 'files', name))[0];
        const files = existsSync(join(tree, root)) ? join(tree, root) : staged!;
        return [...(await rows(bare)), ...(await filesIn(files, /^$/))];
      } finally {
        await mysql.server.execute(SCHEMAS.map((each) => `DROP DATABASE IF EXISTS bare_${each};`).join('\n'));
      }
    },
    change: async (n) => {
      const old = await mysql.server.query("SHOW TABLES IN shop LIKE 'only\\_%';");
      const drops = old.flat().map((table) => `DROP TABLE shop.${table};`);
      await mysql.server.execute(
        `DELETE FROM shop.orders; INSERT INTO shop.orders VALUES (${n}, 'a'), (${n + 1}, 'ü'); DELETE FROM stock.items;
        INSERT INTO stock.items VALUES (${n}); DELETE FROM users.people; INSERT INTO users.people VALUES ('${n}');
        ${drops.join(' ')} CREATE TABLE shop.only_${n} (n INT);`,
      );
      for (const name of readdirSync(join(root, 'uploads'))) rmSync(join(root, 'uploads', name));
      writeFileSync(join(root, `uploads/generation-${n}`), `${n}`);
    },
    left: async (noted) => {
      const there = await names();
      await mysql.server.execute(
        `SET FOREIGN_KEY_CHECKS = 0; ${there.map((name) => `DROP DATABASE \`${name}\`;`).join(' ')} SELECT 1;`,
      );
      return there.filter((name) => !noted.includes(name.slice(-12))).map((name) => `schema ${name}`);
    },
    end: mysql.close,
  };
}

/** The number may be somebody else's by now; until it becomes `sleep`, its shell has the pid file among its arguments. */
function isWiki(pid: number, pidFile: string): boolean {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return lives(pid) && (command.startsWith('sleep\0') || command.includes(pidFile));
  } catch {
    return false;
  }
}
