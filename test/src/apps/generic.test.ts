import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { formatMistake, parseConfig, readConfig } from '../../../src/config/load.js';
import { derivePlan } from '../../../src/config/plan.js';
import type { Plan } from '../../../src/core/plan.js';
import { temporary } from '../../support/videocms-site.js';

const HEAD = `version: 1
repositories:
  nas: { engine: archive, location: /mnt/nas }
sites:
  wiki:
    app: generic
    root: /srv/wiki
    service: none
    repositories: [nas]
    options:
`;
const indented = (yaml: string) => HEAD + yaml.replaceAll(/^(?=.)/gm, '      ');
const mistakesIn = async (yaml: string) =>
  (await parseConfig(indented(yaml), '/etc/holdfast.yaml')).mistakes.map((one) =>
    formatMistake(one).replace('/etc/holdfast.yaml:', '').replace('sites.wiki.options.', ''),
  );
const planOf = async (yaml: string, entries: string[] = []): Promise<Plan> => {
  const { config, mistakes } = await parseConfig(indented(yaml), '/etc/holdfast/holdfast.yaml');
  assert.deepEqual(mistakes, []);
  const facts = { entries: entries.map((path) => ({ path: join('/srv/wiki', path), dir: false })), volumes: [] };
  return derivePlan(config!, 'wiki', facts, { host: 'local' });
};

describe('app generic: databases of every kind', () => {
  it('in one site: paths are absolute, secrets stay references, commands run in the root', async () => {
    const { databases, fileSets } = await planOf(
      `databases:
  - { kind: sqlite, path: data/Notes.db, format: sql }
  - { kind: mysql, schemas: [shop, stats], grants: true, host: db, port: 3307, user: b, password: { env: PW } }
  - { kind: postgres, database: Wiki DB, container: db, password: { file: pw } }
  - { kind: command, name: ledger, dump: [./bin/export, --all], load: { argv: [cat], timeout: 2h }, ends: "# end" }
  - { kind: bolt, path: state.bolt }
`,
      ['compose.yaml'],
    );
    assert.deepEqual(
      databases.map(({ kind, name, mode }) => [kind, name, mode]),
      [
        ['sqlite', 'notes', 'stopped'],
        ['mysql', 'shop', 'stopped'],
        ['postgres', 'wiki-db', 'stopped'],
        ['command', 'ledger', 'stopped'],
        ['bolt', 'state', 'stopped'],
      ],
    );
    const [, mysql, postgres, command] = databases as [unknown, object, object, object];
    assert.deepEqual(mysql, {
      kind: 'mysql',
      name: 'shop',
      mode: 'stopped',
      schemas: ['shop', 'stats'],
      grants: true,
      host: 'db',
      port: 3307,
      user: 'b',
      password: { env: 'PW' },
      format: 'sql',
    });
    assert.deepEqual(postgres, {
      kind: 'postgres',
      name: 'wiki-db',
      mode: 'stopped',
      database: 'Wiki DB',
      globals: true,
      password: { file: '/etc/holdfast/pw' },
      container: { service: 'db', file: '/srv/wiki/compose.yaml' },
      format: 'custom',
    });
    assert.deepEqual(command, {
      kind: 'command',
      name: 'ledger',
      mode: 'stopped',
      dump: { argv: ['/srv/wiki/bin/export', '--all'], cwd: '/srv/wiki', timeoutMs: 3_600_000 },
      load: { argv: ['cat'], cwd: '/srv/wiki', timeoutMs: 7_200_000 },
      ends: '# end',
      leastBytes: 1,
      format: 'output',
    });
    assert.ok(['data/Notes.db', 'state.bolt'].every((path) => fileSets[0]?.exclude.includes(path)));
  });

  it('an export over HTTP, and what may be taken beside it', async () => {
    const { databases, fileSets } = await planOf(`databases:
  - { kind: http, name: export, url: "https://127.0.0.1/x", token: { env: T }, ca: tls/ca.crt }
  - { kind: bolt, path: a.bolt, snapshot: /mnt/snap/a.bolt }
files: [{ name: blobs, path: blobs, change: live }]`);
    assert.deepEqual(
      databases.map(({ name, mode }) => [name, mode]),
      [
        ['export', 'online'],
        ['a', 'online'],
      ],
    );
    assert.equal((databases[0] as { ca?: string }).ca, '/srv/wiki/tls/ca.crt');
    assert.equal(fileSets[0]?.change, 'live');
  });
});

describe('app generic: what is wrong', () => {
  it('is said all at once, each with its place', async () => {
    assert.deepEqual(
      await mistakesIn(`databases:
  - { kind: postgre, database: wiki }
  - { kind: sqlite, path: a.db, schemas: [x] }
  - { kind: mysql, schemas: [] }
  - { kind: postgres, database: wiki, pasword: { env: A } }
  - { kind: postgres, database: other, password: hunter2 }
  - { kind: command, name: out }
  - { kind: http, name: web, url: "ftp://x" }
  - { kind: sqlite, path: b/z.db }
  - { path: x.db }
  - { kind: mysql, schemas: [y], container: 5 }
files: [{ name: web, change: sometimes }, { name: c }, { name: c }]`),
      [
        '12:19 databases[0].kind: must be one of sqlite, mysql, postgres, http, command, bolt; did you mean "postgres"?',
        '13:39 databases[1].schemas: unknown key; there is: kind, path, name, format, mode',
        '14:26 databases[2].schemas: must name a database',
        '15:45 databases[3].pasword: unknown key; did you mean "password"?',
        '16:56 databases[4].password: must be a reference: { file: … }, { env: … } or { command: […] }; a secret never stands in the config',
        '17:11 databases[5].dump: is missing',
        '18:41 databases[6].url: must be an http:// or https:// address',
        '20:11 databases[8].kind: is missing',
        '21:51 databases[9].container: must be the name of a compose service, or { service, file, project }',
        '22:36 files[0].change: must be one of mutable, immutable, live',
        '22:70 files[2].name: "c" stands twice; give each its own',
      ],
    );
  });

  it('names are unique among databases and files, and an export needs the application to run', async () => {
    assert.deepEqual(
      await mistakesIn(`databases:
  - { kind: sqlite, path: a.db }
  - { kind: sqlite, path: x/a.sqlite }
  - { kind: http, name: export, url: "http://127.0.0.1/" }
files: [{ name: a }]`),
      [
        '12:11 databases[0].mode: must be online: an export over HTTP needs the application to run',
        '13:11 databases[1].name: "a" stands twice; give each its own',
        '13:11 databases[1].mode: must be online: an export over HTTP needs the application to run',
        '15:23 files[0].name: "a" stands twice; give each its own',
      ],
    );
  });

  it('a secret in an option that others can read, and a program that others can change', async () => {
    const dir = realpathSync(temporary());
    mkdirSync(join(dir, 'wiki'));
    const [secret, program] = [join(dir, 'pw'), join(dir, 'export')];
    writeFileSync(secret, 'x', { mode: 0o644 });
    writeFileSync(program, '#!/bin/sh\n');
    chmodSync(program, 0o777);
    const file = join(dir, 'holdfast.yaml');
    const text = indented(`databases:
  - { kind: postgres, database: wiki, password: { file: pw } }
  - { kind: command, name: out, dump: [../export] }
`).replace('/srv/wiki', 'wiki');
    writeFileSync(file, text, { mode: 0o600 });
    const { mistakes } = await readConfig(file, { look: 'all' });
    assert.deepEqual(
      mistakes.map((one) => formatMistake(one).replaceAll(dir, '…')),
      [
        '…/holdfast.yaml:12:63 sites.wiki.options.databases[0].password.file: the secret file …/pw can be read by others; chmod 600 …/pw',
        '…/holdfast.yaml:13:39 sites.wiki.options.databases[1].dump: the program …/export can be changed by others; chmod go-w …/export',
      ],
    );
  });
});
