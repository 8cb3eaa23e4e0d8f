import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { newestProgram } from '../../activities/tools/postgres.js';
import { type AppSite, filesIn } from './app-site.js';
import type { Lab } from './lab.js';
import { openPostgres } from './postgres.js';
import { layWiki, WIKI } from './wiki-app.js';

const ROWS = "SELECT string_agg(text, ',' ORDER BY id) FROM notes";

/** A site of parts: PostgreSQL, a database behind a program, files, and a service of commands. */
export async function genericApp(lab: Lab): Promise<AppSite | string> {
  const postgres = await openPostgres();
  if (typeof postgres === 'string') return postgres;
  const root = join(lab.dir, 'app/wiki');
  const inRoot = (name: string) => join(root, name);
  layWiki(root, 'one\n# end\n');
  postgres.sql('postgres', 'CREATE DATABASE wiki');
  postgres.sql('wiki', 'CREATE TABLE notes (id serial PRIMARY KEY, text text)');
  const { socket, user, password } = postgres.spec('wiki');
  await lab.configure(({ sites }) => {
    sites.cms = {
      ...{ app: 'generic', root, repositories: ['nas', 'local'], limits: { reserve: '10MB' } },
      service: WIKI.service,
      options: {
        databases: [{ kind: 'postgres', database: 'wiki', socket, user, password }, WIKI.ledger],
        ...WIKI.parts,
      },
      restoreTest: { scratch: lab.scratch, sample: '1/1' },
    };
  });
  const databases = () => postgres.sql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'");
  const drop = (name: string) =>
    postgres.sql('postgres', `ALTER DATABASE ${name} ALLOW_CONNECTIONS true; DROP DATABASE ${name} WITH (FORCE)`);
  return {
    root,
    repositories: ['nas', 'local'],
    service: true,
    up: async () => existsSync(inRoot('running')),
    down: async () => !existsSync(inRoot('running')),
    start: async () => writeFileSync(inRoot('running'), ''),
    stop: async () => rmSync(inRoot('running'), { force: true }),
    kill: async () => rmSync(inRoot('running'), { force: true }),
    pids: () => [],
    look: async () => [
      `rows: ${postgres.sql('wiki', ROWS)}`,
      `ledger: ${readFileSync(inRoot('ledger.txt'), 'utf8')}`,
      ...(await filesIn(inRoot('files'), /^$/)),
    ],
    lookIn: async (tree, staging) => {
      const file = (name: string) =>
        execFileSync(
          'find',
          [join(staging, 'databases'), '-type', 'f', '-path', `*${name}*`, '-not', '-name', '*.json'],
          { encoding: 'utf8' },
        )
          .trim()
          .split('\n')[0] as string;
      postgres.sql('postgres', 'CREATE DATABASE bare');
      try {
        const text = execFileSync(newestProgram('pg_restore')!, ['-f', '-', '--no-owner', file('wiki')], {
          encoding: 'utf8',
        });
        postgres.sql('bare', text);
        const files = join(staging, 'files/files');
        return [
          `rows: ${postgres.sql('bare', ROWS.replace('notes', 'public.notes'))}`,
          `ledger: ${readFileSync(file('ledger'), 'utf8')}`,
          ...(await filesIn(existsSync(files) ? files : join(tree, root, 'files'), /^$/)),
        ];
      } finally {
        postgres.sql('postgres', 'DROP DATABASE bare WITH (FORCE)');
      }
    },
    change: async (n) => {
      postgres.sql('wiki', `INSERT INTO notes (text) VALUES ('${n}'); DELETE FROM notes WHERE text = '${n - 5}'`);
      writeFileSync(inRoot('ledger.txt'), `generation ${n}\n# end\n`);
      for (const name of readdirSync(inRoot('files'))) rmSync(inRoot(`files/${name}`));
      writeFileSync(inRoot(`files/generation-${n}`), `${n}`);
    },
    left: async (noted) => {
      const names = databases().split('\n').filter(Boolean);
      const others = names.filter((name) => !noted.includes(/_([0-9a-f]{12})_/.exec(name)?.[1] ?? 'none'));
      for (const name of names) drop(name);
      return [...others.map((name) => `database ${name}`), ...(existsSync(inRoot('ledger.new')) ? ['ledger.new'] : [])];
    },
    end: postgres.end,
  };
}
