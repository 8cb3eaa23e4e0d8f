import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apps } from '../../../src/apps/index.js';
import { DatabaseSpec, FileSetSpec } from '../../../src/core/plan.js';

const root = '/srv/cms';
const entries = (...names: string[]) =>
  names.map((name) => ({ path: `${root}/${name.replace(/\/$/, '')}`, dir: name.endsWith('/') }));
const planOf = (
  app: string,
  options: object,
  names: string[] = [],
  volumes: { name: string; path?: string }[] = [],
) => {
  const one = apps[app]!;
  const plan = one.plan({ root, options: one.options.parse(options) }, { entries: entries(...names), volumes });
  for (const database of plan.databases) DatabaseSpec.parse(database);
  for (const set of plan.fileSets) FileSetSpec.parse(set);
  return plan;
};
const SITE = [
  'database/',
  'videos/',
  'logs/',
  'docker-compose.yaml',
  '.env',
  'Caddyfile',
  'database/database.sqlite',
  'database/database.sqlite-wal',
  'database/database.sqlite-shm',
  'videos/qualitys/',
  'videos/uploads/',
];

describe('app videocms', () => {
  it('takes the database stopped, the media as they lie, and the configuration', () => {
    const plan = planOf('videocms', {});
    assert.deepEqual(plan.databases, [
      { kind: 'sqlite', name: 'database', path: `${root}/database/database.sqlite`, format: 'file', mode: 'stopped' },
    ]);
    const [media, config] = plan.fileSets;
    assert.deepEqual([media?.root, media?.change, media?.optional], [`${root}/videos/qualitys`, 'immutable', false]);
    assert.deepEqual([config?.root, config?.change, config?.optional], [root, 'mutable', true]);
    for (const name of ['docker-compose.yaml', '.env', 'Caddyfile']) assert.ok(config?.include.includes(name));
    assert.deepEqual(plan.health, { http: 'http://127.0.0.1:3000/api/config', status: 200 });
    assert.equal(planOf('videocms', { online: true }).databases[0]?.mode, 'online');
  });

  it('leaves nothing of an ordinary site uncovered', () => {
    const volumes = [
      { name: './database', path: `${root}/database` },
      { name: './videos', path: `${root}/videos` },
    ];
    assert.deepEqual(planOf('videocms', {}, SITE, volumes).uncovered, []);
  });

  it('reports what nothing accounts for, volumes of the compose file too', () => {
    const strange = [...SITE, 'notes.txt', 'old/', 'old/a', 'videos/raw/', 'database/copy.sqlite'];
    const volumes = [{ name: 'caddy_data' }, { name: '/mnt/extra', path: '/mnt/extra' }];
    assert.deepEqual(planOf('videocms', {}, strange, volumes).uncovered, [
      'notes.txt',
      'old/',
      'videos/raw/',
      'database/copy.sqlite',
      'volume caddy_data',
      'volume /mnt/extra (/mnt/extra)',
    ]);
    const leaveOut = ['notes.txt', 'old', 'videos/raw', 'database/copy.sqlite', 'caddy_data', '/mnt/extra'];
    assert.deepEqual(planOf('videocms', { leaveOut }, strange, volumes).uncovered, []);
  });

  it('knows the program beside its data, but takes no other views for it', () => {
    const program = [...SITE, 'views/', 'views/index.html', 'public/', 'videocms'];
    assert.deepEqual(planOf('videocms', {}, program).uncovered, []);
    assert.deepEqual(planOf('videocms', {}, [...SITE, 'views/', 'views/x.sql', 'public/']).uncovered, [
      'views/',
      'public/',
    ]);
  });

  it('follows folders that are configured elsewhere', () => {
    const plan = planOf('videocms', { qualitys: '/mnt/media', uploads: '/mnt/media/up' });
    assert.deepEqual([plan.fileSets[0]?.root, plan.fileSets[0]?.exclude], ['/mnt/media', ['up']]);
  });

  it('refuses options that it does not have', () => {
    assert.equal(apps.videocms?.options.safeParse({ pending: true }).success, false);
  });
});

describe('app generic', () => {
  it('takes everything below root but its databases, which are dumped', () => {
    const plan = planOf('generic', { databases: [{ kind: 'sqlite', path: 'data/Library DB.sqlite3' }] }, [
      'data/',
      'data/Library DB.sqlite3',
      'x',
    ]);
    assert.equal(plan.databases[0]?.name, 'library-db');
    assert.deepEqual(plan.fileSets[0]?.exclude.slice(0, 2), ['data/Library DB.sqlite3', 'data/Library DB.sqlite3-wal']);
    assert.deepEqual(plan.uncovered, []);
  });

  it('with sets of its own reports the rest, unless it is excluded', () => {
    const files = [{ name: 'docs', path: 'docs', include: ['*.md'] }];
    const names = ['docs/', 'docs/a.md', 'docs/b.bin', 'cache/', 'z'];
    assert.deepEqual(planOf('generic', { files }, names).uncovered, ['docs/b.bin', 'cache/', 'z']);
    assert.deepEqual(planOf('generic', { files, exclude: ['cache', 'docs/*.bin'] }, names).uncovered, ['z']);
    assert.equal(planOf('generic', { files }).fileSets[0]?.root, `${root}/docs`);
  });

  it('refuses two of one name, and nothing at all', () => {
    const bad = [
      { files: [{ name: 'a' }, { name: 'a' }] },
      { databases: ['a.db', 'x/a.sqlite'].map((path) => ({ kind: 'sqlite', path })) },
      { files: [] },
    ];
    for (const options of bad) assert.equal(apps.generic?.options.safeParse(options).success, false);
  });
});
