import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type AppSite, filesIn } from './app-site.js';
import type { Lab } from './lab.js';
import { seafileLab } from './seafile-lab.js';
import { MAIN } from './seafile-site.js';

const SKIP = /\.db(-wal|-shm|-journal)?$|(^|\/)pids(\/|$)|^\.holdfast/;

/** Seafile on SQLite: two services that are stopped in their order, six databases, libraries. */
export async function seafileApp(lab: Lab): Promise<AppSite> {
  const dir = join(lab.dir, 'app/seafile');
  const site = seafileLab(dir);
  const mark = (name: string) => join(dir, 'scripts/run', name);
  const both = ['seafile', 'seahub'];
  const does = (verb: string, names: string[]) => {
    for (const name of names) execFileSync(join(dir, 'scripts/service.sh'), [name, verb]);
  };
  await lab.configure((config) => {
    const { restoreTest, limits } = config.sites.cms;
    config.sites.cms = {
      ...{ app: 'seafile', root: site.root, ...site.lines, limits, repositories: ['nas', 'local'] },
      restoreTest: { scratch: restoreTest.scratch, sample: '1/1' },
    };
  });
  const dump = (path: string) => execFileSync('sqlite3', [path, '.dump'], { encoding: 'utf8' });
  const seafileDb = (script: string) =>
    execFileSync('sqlite3', [join(site.root, 'seafile-data/seafile.db'), script], { encoding: 'utf8' }).trim();
  return {
    root: site.root,
    repositories: ['nas', 'local'],
    service: true,
    up: async () => both.every((name) => existsSync(mark(name))),
    down: async () => !both.some((name) => existsSync(mark(name))),
    start: async () => does('start', both),
    stop: async () => does('stop', both.toReversed()),
    kill: async () => {
      for (const name of both) rmSync(mark(name), { force: true });
    },
    pids: () => [],
    look: async () => [
      ...(await filesIn(site.root, SKIP)),
      ...site.databases.map((path) => `${basename(path)}: ${existsSync(path) ? dump(path) : 'gone'}`),
    ],
    lookIn: async (tree, staging) => {
      const names = execFileSync('find', [join(staging, 'databases'), '-name', '*.sql.*'], { encoding: 'utf8' });
      const dumps = names.trim().split('\n').filter(Boolean);
      const loaded = site.databases.map((path) => {
        const file = dumps.find((each) => basename(each).startsWith(`${basename(path)}.sql.`)) ?? 'none';
        const text = execFileSync('sh', [
          '-euc',
          'rm -f "$2"; sqlite3 "$2" <"$1"; sqlite3 "$2" .dump; rm "$2"',
          'sh',
          file,
          `${staging}.db`,
        ]);
        return `${basename(path)}: ${text}`;
      });
      return [...(await filesIn(join(tree, site.root), SKIP)), ...loaded];
    },
    change: async (n) => {
      const { main } = site.libraries;
      const root = main.dir({ name: 'new.txt', id: main.file(`of generation ${n}`), dir: false });
      // A restore in place took back what was committed since.
      const head = seafileDb(`SELECT commit_id FROM Branch WHERE repo_id = '${MAIN}'`);
      const parent = n % 5 === 0 ? site.commits.head : head;
      const commit = main.commit({ root, ctime: 1_700_009_000 + n, parent });
      for (const path of site.databases)
        execFileSync('sqlite3', [
          path,
          `PRAGMA busy_timeout = 60000; CREATE TABLE IF NOT EXISTS generation (n); DELETE FROM generation; INSERT INTO generation VALUES (${n});`,
        ]);
      seafileDb(`UPDATE Branch SET commit_id = '${commit}' WHERE repo_id = '${MAIN}'`);
      for (const at of ['conf', 'seahub-data', 'seafile-data', '.']) {
        for (const name of readdirSync(join(site.root, at)).filter((each) => each.startsWith('generation-')))
          rmSync(join(site.root, at, name));
        writeFileSync(join(site.root, at, `generation-${n}`), `${n}`);
      }
    },
  };
}
