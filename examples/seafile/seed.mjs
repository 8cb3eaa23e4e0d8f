#!/usr/bin/env node
// Makes a Seafile installation without a server: node seed.mjs --dir haiwen [--files 100] [--mysql]. With --mysql it prints the SQL of its databases.
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Library } from './library.mjs';

export const MAIN = '11111111-1111-4111-8111-111111111111';
export const VIRTUAL = '22222222-2222-4222-8222-222222222222';
export const SECRET = '33333333-3333-4333-8333-333333333333';

/** A whole installation without a server: libraries with history, a virtual and an encrypted one, configuration and databases. */
export function seed({ dir, layout = 'classic', sqlite = true, files = 0 }) {
  const root = resolve(dir);
  const top = join(root, layout === 'docker' ? 'seafile' : '');
  const storage = join(top, 'seafile-data/storage');
  const made = makeLibraries(storage, files);
  const put = (path, text) => {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    writeFileSync(join(top, path), text);
  };
  for (const kind of ['commits', 'fs', 'blocks']) mkdirSync(join(storage, kind), { recursive: true });
  put('conf/seafile.conf', `[fileserver]\nport = 8082\n${sqlite ? '\n[database]\ntype = sqlite\n' : ''}`);
  put('conf/seahub_settings.py', "SECRET_KEY = 'k'\n");
  put('seahub-data/avatars/default.png', 'png');
  put('seafile-data/library-template/welcome.md', '# Hello\n');
  put('pids/seaf-server.pid', '4711\n');
  if (layout === 'classic') {
    put('seafile-server-11.0.12/seafile.sh', '#!/bin/sh\n');
    symlinkSync('seafile-server-11.0.12', join(top, 'seafile-server-latest'));
  }
  const sql = rowsOf(made);
  const databases = [];
  const database = (path, statements) => {
    mkdirSync(dirname(join(top, path)), { recursive: true });
    execFileSync('sqlite3', [join(top, path)], { input: `PRAGMA journal_mode = WAL;\n${statements.join(';\n')};\n` });
    databases.push(join(top, path));
  };
  if (sqlite) {
    database('ccnet/PeerMgr/usermgr.db', sql.ccnet);
    database('ccnet/GroupMgr/groupmgr.db', [
      'CREATE TABLE `Group` (group_id INTEGER PRIMARY KEY, group_name TEXT)',
      "INSERT INTO `Group` VALUES (1, 'staff')",
    ]);
    database('ccnet/OrgMgr/orgmgr.db', ['CREATE TABLE OrgUser (org_id INTEGER, email TEXT)']);
    database('ccnet/misc/config.db', ['CREATE TABLE Config (cfg_group TEXT, cfg_key TEXT, value TEXT)']);
    database('seafile-data/seafile.db', sql.seafile);
    database('seahub.db', sql.seahub);
  }
  return { root, top, storage, ...made, sql, databases };
}

function makeLibraries(storage, files) {
  const main = new Library(storage, MAIN);
  const past = main.block('what the file was');
  const now = main.block('what the file is now');
  const more = Array.from({ length: files }, (_, n) => ({
    name: `f${n}`,
    id: main.file(`content of file ${n}, the only one of its kind`),
    dir: false,
    size: 40,
  }));
  const folder = main.dir(
    { name: 'note.txt', id: main.file('shared piece', 'end of the note'), dir: false, size: 27 },
    { name: 'empty.txt', id: main.file(), dir: false },
    ...more,
  );
  const state = (text, ...folders) =>
    main.dir(
      { name: 'ünïcode.txt', id: main.file(text, 'shared piece'), dir: false, size: text.length + 12 },
      ...folders.map((id) => ({ name: 'folder', id, dir: true })),
      { name: 'nothing', id: main.dir(), dir: true },
    );
  const first = main.commit({ root: state('what the file was'), ctime: 1_700_000_000, description: null });
  const second = main.commit({ root: state('what the file was', folder), ctime: 1_700_000_100, parent: first });
  const head = main.commit({
    root: state('what the file is now', folder),
    ctime: 1_700_000_200,
    parent: second,
    secondParent: first,
  });
  const virtual = new Library(storage, VIRTUAL, MAIN);
  const secret = new Library(storage, SECRET);
  const cipher = Buffer.from('c0ffee00ff01fe02fd03', 'hex');
  return {
    libraries: { main, virtual, secret },
    blocks: { now, past, secret: secret.block(cipher) },
    fs: { folder },
    commits: {
      first,
      head,
      virtual: virtual.commit({ root: folder, ctime: 1_700_000_300 }),
      secret: secret.commit({
        root: secret.dir({ name: 'safe.bin', id: secret.file(cipher), dir: false, size: 10 }),
        ctime: 1_700_000_400,
        creatorName: null,
        encrypted: true,
      }),
    },
  };
}

const insert = (table, rows) =>
  `INSERT INTO ${table} VALUES ${rows.map((row) => `(${row.map((v) => (typeof v === 'string' ? `'${v}'` : String(v ?? 'NULL'))).join(', ')})`).join(', ')}`;

function rowsOf({ commits }) {
  const repos = [MAIN, VIRTUAL, SECRET];
  return {
    ccnet: [
      'CREATE TABLE EmailUser (id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(255), passwd VARCHAR(256), is_staff INTEGER NOT NULL)',
      insert('EmailUser', [
        [1, 'ann@example.org', 'PBKDF2SHA256$10000$00$00', 1],
        [2, 'bob@example.org', '!', 0],
      ]),
      'CREATE TABLE LDAPUsers (id INTEGER PRIMARY KEY, email VARCHAR(255) NOT NULL)',
      insert('LDAPUsers', [[1, 'lea@example.org']]),
    ],
    seafile: [
      'CREATE TABLE Repo (repo_id CHAR(37) PRIMARY KEY)',
      insert(
        'Repo',
        repos.map((id) => [id]),
      ),
      'CREATE TABLE Branch (name VARCHAR(10), repo_id CHAR(40), commit_id CHAR(41), PRIMARY KEY (repo_id, name))',
      insert('Branch', [
        ['master', MAIN, commits.head],
        ['master', VIRTUAL, commits.virtual],
        ['master', SECRET, commits.secret],
      ]),
      'CREATE TABLE RepoHead (repo_id CHAR(37) PRIMARY KEY, branch_name VARCHAR(10))',
      insert(
        'RepoHead',
        repos.map((id) => [id, 'master']),
      ),
      'CREATE TABLE RepoOwner (repo_id CHAR(37) PRIMARY KEY, owner_id VARCHAR(255))',
      insert('RepoOwner', [
        [MAIN, 'ann@example.org'],
        [VIRTUAL, 'bob@example.org'],
        [SECRET, 'lea@example.org'],
      ]),
      'CREATE TABLE VirtualRepo (repo_id CHAR(36) PRIMARY KEY, origin_repo CHAR(36), path TEXT, base_commit CHAR(40))',
      insert('VirtualRepo', [[VIRTUAL, MAIN, "/it''s (a folder), really\\\\; ok", commits.head]]),
      'CREATE TABLE RepoInfo (repo_id CHAR(36) PRIMARY KEY, name VARCHAR(255) NOT NULL, is_encrypted INTEGER)',
      insert('RepoInfo', [
        [MAIN, 'Main', 0],
        [VIRTUAL, 'folder', 0],
        [SECRET, 'Secret', 1],
      ]),
      'CREATE TABLE RepoValidSince (repo_id CHAR(37) PRIMARY KEY, timestamp BIGINT)',
      'CREATE TABLE RepoTrash (repo_id CHAR(36) PRIMARY KEY, head_id CHAR(40))',
      'CREATE TABLE GarbageRepos (repo_id CHAR(36) PRIMARY KEY)',
    ],
    seahub: [
      'CREATE TABLE share_fileshare (id INTEGER NOT NULL PRIMARY KEY, username VARCHAR(255), token VARCHAR(100))',
      insert('share_fileshare', [[1, 'ann@example.org', 'f00ba4']]),
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, files: { type: 'string', default: '0' }, mysql: { type: 'boolean' } },
  });
  if (!values.dir) throw new Error('where? --dir DIR');
  const layout = values.mysql ? 'docker' : 'classic';
  const { sql } = seed({ dir: values.dir, layout, sqlite: !values.mysql, files: Number(values.files) });
  const schema = (name) => `CREATE DATABASE ${name}_db; USE ${name}_db;\n${sql[name].join(';\n')};`;
  if (values.mysql) console.log(['ccnet', 'seafile', 'seahub'].map(schema).join('\n'));
  else console.log(`${values.dir}: 3 libraries (a virtual and an encrypted one), 6 databases`);
}
