import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMark, markOf, Search } from './secret-search.js';
import { openSpy, searchRuns, toolsOf } from './secret-spy.js';

/* A search that sees nothing would praise everything: each kind of leak that is looked for elsewhere is made here, and found. */

const mark = createMark('mine', (core) => `${core} "q'&<ä%:\\x`);
const other = createMark('other');

test('a mark is seen in every writing, and no other is', () => {
  const { secret, core } = mark;
  const writings = [
    secret,
    encodeURIComponent(secret),
    JSON.stringify(JSON.stringify({ secret })),
    Buffer.from(secret).toString('hex'),
    ...['', 'u', 'us', 'use'].map((user) => `Basic ${Buffer.from(`${user}:${secret}`).toString('base64')}`),
    Buffer.from(`x${core}`).toString('base64url'),
  ];
  for (const text of writings) {
    const search = new Search([mark, other, markOf('key', 'AGE-1QRS', '1QRSTUVWXYZ')]);
    search.text('here', `before ${text} after`);
    assert.deepEqual([...search.found.keys()], ['mine'], text);
    assert.deepEqual(search.places('mine'), ['here']);
  }
  const blank = new Search([mark, other]);
  blank.text('here', `${core.slice(0, -1)} ${Buffer.from('hfmark').toString('base64')}`);
  assert.deepEqual([...blank.found], []);
});

test('a payload of a history is seen, and so are its keys', () => {
  const search = new Search([mark, other]);
  search.value('history', {
    events: [{ details: { payloads: [{ data: Buffer.from(JSON.stringify({ said: mark.secret })) }] } }],
    [other.secret]: 1,
  });
  assert.deepEqual([...search.found.keys()].sort(), ['mine', 'other']);
});

test('a file with a secret is seen, by its content and by its name', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-leaks-'));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, 'store.log'), `# restic --password ${mark.secret}\n`);
  writeFileSync(join(dir, other.core), '');
  const search = new Search([mark, other]);
  search.files(dir);
  assert.deepEqual([search.places('mine'), search.places('other')], [['file store.log'], [`file name ${other.core}`]]);
});

test('a program that is given a secret is seen, whoever starts it', (t) => {
  const spy = openSpy();
  t.after(() => spy.end());
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-leaks-'));
  t.after(() => rmSync(dir, { recursive: true }));
  // A careless hook: one secret as an argument of what it starts, another in its environment, and both in a file for others.
  const hook = join(dir, 'hook');
  writeFileSync(hook, '#!/bin/sh\nprintenv "$1" >/dev/null\nid "$SECRET" 2>/dev/null\ntrue\n');
  chmodSync(hook, 0o755);
  const env = { PATH: `${spy.path}:${process.env.PATH}`, SECRET: mark.secret, OTHER: other.secret };
  spawnSync('setpriv', ['--', '/bin/sh', '-c', 'shift 3; exec "$@"', 'holdfast', 'group', '1', '{}', hook], { env });
  const search = new Search([mark, other]);
  const parents = new Map<number, number>();
  const runs = spy.runs();
  searchRuns(runs, toolsOf(runs, parents), parents, search);
  assert.deepEqual(search.places('mine').sort(), ['arguments of id (hook)', 'environment of hook']);
  assert.deepEqual(search.places('other'), ['environment of hook']);
});

test('a tool that is told to leak does so once, with its credential file, and its mode is seen', (t) => {
  const spy = openSpy();
  t.after(() => spy.end());
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-leaks-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const credential = join(dir, 'credential');
  writeFileSync(credential, `*:*:*:*:${mark.secret}\n`, { mode: 0o644 });
  spy.leak('id', '-u');
  const env = { PATH: `${spy.path}:${process.env.PATH}`, PGPASSFILE: credential };
  const args = ['--', '/bin/sh', '-c', 'shift 3; exec "$@"', 'holdfast', 'group', '1', '{}', 'id', '-u', '-r'];
  const [leaky, good] = [1, 2].map(() => spawnSync('setpriv', args, { env, encoding: 'utf8' }));
  assert.equal(leaky?.status, 1);
  assert.ok(leaky?.stdout.includes(mark.secret) && leaky.stderr.includes(mark.secret));
  assert.deepEqual([good?.status, good?.stdout, spy.leaked()], [0, `${process.getuid?.()}\n`, 1]);
  const search = new Search([mark, other]);
  const runs = spy.runs();
  searchRuns(runs, toolsOf(runs, new Map()), new Map(), search);
  assert.deepEqual(search.places('mine'), ['credential -rw-r--r-- of id']);
});
