import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLab, type Lab } from '../support/lab.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { openPostgres, type Postgres } from '../support/postgres.js';
import { layWiki, WIKI } from '../support/wiki-app.js';

/*
 * A site of parts by config alone, on a real Temporal and a real PostgreSQL: a database in a server, one behind a program, and files. Backed up,
 * destroyed, proven, and restored in place.
 */

const server = await openPostgres();
const opened = typeof server === 'string' ? server : await createLab({ engines: ['archive'] });
const skip = typeof opened === 'string' ? opened : false;
const [lab, postgres] = [opened as Lab, server as Postgres];
const opts = { skip };

const LEDGER = 'one\ntwo\n# end\n';
const root = skip ? '' : join(lab.dir, 'wiki');
const inRoot = (name: string) => join(root, name);
const rows = () => postgres.sql('wiki', "SELECT string_agg(text, ',' ORDER BY id) FROM notes");

before(async () => {
  if (skip) return;
  layWiki(root, LEDGER);
  writeFileSync(inRoot('files/a.txt'), 'a file');
  postgres.sql('postgres', 'CREATE DATABASE wiki');
  postgres.sql(
    'wiki',
    "CREATE TABLE notes (id serial PRIMARY KEY, text text); INSERT INTO notes (text) VALUES ('x'), ('y')",
  );
  await lab.configure(({ sites }) => {
    sites.wiki = {
      app: 'generic',
      root,
      service: WIKI.service,
      options: {
        databases: [
          {
            kind: 'postgres',
            database: 'wiki',
            socket: postgres.dir,
            user: 'postgres',
            password: { file: postgres.passwordFile },
          },
          WIKI.ledger,
        ],
        ...WIKI.parts,
      },
      repositories: ['local'],
      limits: { reserve: '10MB' },
      restoreTest: { scratch: lab.scratch, sample: '1/1' },
    };
  });
  await lab.startWatchdog();
  await lab.startWorker();
});
after(async () => {
  if (typeof opened !== 'string') await lab.end();
  if (typeof server !== 'string') await postgres.end();
});

test('a site of a server, a program and files is backed up with nothing uncovered', opts, async () => {
  const report = await runPlain(lab, 'backup', { site: 'wiki' });
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(report.uncovered, []);
  assert.deepEqual(
    report.repositories.map(({ level }) => level),
    ['verified'],
  );
  assert.ok(existsSync(inRoot('running')));
});

test('a restore test loads each of them, and counts what it finds', opts, async () => {
  const report = await runPlain(lab, 'restoreTest', { site: 'wiki' });
  assert.equal(
    report.outcome,
    'completed',
    `${report.said} ${JSON.stringify(report.proof?.checks.filter(({ ok }) => !ok))}`,
  );
  const evidence = Object.fromEntries(report.proof?.checks.map(({ name, evidence }) => [name, evidence]) ?? []);
  assert.match(evidence['wiki: rows'] ?? '', /^2 rows, as in the manifest/);
  assert.match(evidence['ledger: rows'] ?? '', /^3 rows, as in the manifest/);
});

test('what was destroyed comes back in place, all of it', opts, async () => {
  postgres.sql('postgres', 'DROP DATABASE wiki');
  writeFileSync(inRoot('ledger.txt'), 'gone\n');
  rmSync(inRoot('files'), { recursive: true });
  const handle = await startPlain(lab, 'restore', { site: 'wiki' });
  assert.match(await approve(handle, 'wiki'), /goes ahead/);
  const report = await handle.result();
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(rows(), 'x,y');
  assert.equal(readFileSync(inRoot('ledger.txt'), 'utf8'), LEDGER);
  assert.equal(readFileSync(inRoot('files/a.txt'), 'utf8'), 'a file');
  assert.ok(existsSync(inRoot('running')));
});

test('one that only changed is exchanged too; the state from before is kept aside', opts, async () => {
  postgres.sql('wiki', "INSERT INTO notes (text) VALUES ('later')");
  const handle = await startPlain(lab, 'restore', { site: 'wiki', only: ['wiki'] });
  await approve(handle, 'wiki');
  const report = await handle.result();
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(rows(), 'x,y');
  const aside = postgres.sql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'");
  assert.match(aside, /^holdfast_old_\w+$/);
  postgres.sql('postgres', `ALTER DATABASE ${aside} ALLOW_CONNECTIONS true`);
  assert.equal(postgres.sql(aside, 'SELECT count(*) FROM notes'), '3');
});
