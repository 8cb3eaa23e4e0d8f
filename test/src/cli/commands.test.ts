import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { aBackup } from '../client/support/reports.js';
import { holdfast } from './support/holdfast.js';

let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-commands-'));
  await mkdir(join(dir, 'site'));
  await writeFile(join(dir, 'site', 'a.txt'), 'a');
  const config = [
    'version: 1',
    `repositories: { nas: { engine: archive, location: ${dir}/repo } }`,
    `sites: { wiki: { app: generic, root: ${dir}/site, service: none, repositories: [nas] } }`,
  ];
  await writeFile(join(dir, 'holdfast.yaml'), config.join('\n'), { mode: 0o644 });
});
after(() => rm(dir, { recursive: true, force: true }));

const away = { TEMPORAL_ADDRESS: '127.0.0.1:1' };
const run = (...args: string[]) => holdfast(args, { cwd: dir, env: away });

test('Temporal away: 7, and its address', async () => {
  const { code, err } = await run('backup', 'wiki');
  assert.equal(code, 7);
  assert.match(err, /Temporal does not answer/);
});

test('usage: an unknown command, a missing argument, an unknown site, a config that is not there', async () => {
  for (const args of [['bakup'], ['backup'], ['backup', '--no-such']])
    assert.equal((await run(...args)).code, 2, args.join(' '));
  const unknown = await run('backup', 'wikki');
  assert.equal(unknown.code, 2);
  assert.match(unknown.err, /there is no site "wikki" in .*; known: wiki/);
  const none = await run('status', '--config', 'other.yaml');
  assert.equal(none.code, 2);
  assert.match(none.err, /there is no config at .*other\.yaml; correct --config, or write one with: holdfast init/);
});

test('an error with --json is JSON too', async () => {
  const { code, out } = await run('backup', 'wikki', '--json');
  const told = JSON.parse(out);
  assert.deepEqual([code, told.schemaVersion, told.exitCode], [2, 1, 2]);
  assert.match(told.error.message, /known: wiki/);
});

test('check looks at everything here, and ends with the one next command', async () => {
  const first = await run('check');
  assert.equal(first.code, 1);
  assert.match(first.out, /! wiki: repository nas +nothing is there yet/);
  assert.match(first.out, /x Temporal +does not answer at 127\.0\.0\.1:1/);
  assert.match(first.out, /\nnext: holdfast dev\n$/);
  const made = await run('check', '--init', '--json');
  const { findings } = JSON.parse(made.out) as { findings: { about: string; result: string }[] };
  assert.equal(findings.find(({ about }) => about === 'wiki: repository nas')?.result, 'ok');
});

test('snapshots of a site without any; release of a site that nothing holds, and of nobody', async () => {
  const { code, out } = await run('snapshots', 'wiki');
  assert.deepEqual([code, out], [0, 'no snapshot of wiki yet; make one with: holdfast backup wiki\n']);
  assert.match((await run('setup', 'wiki')).out, /generic needs no set-up/);
  assert.match((await run('release', 'wiki')).out, /wiki is not held down \(idle\)/);
  assert.equal((await run('release', 'wikki')).code, 2);
});

test('status without Temporal is this host’s word, and never 0; logs are read from disk', async () => {
  const report = aBackup('wiki', new Date(Date.now() - 3600_000).toISOString());
  await mkdir(join(dir, 'state/reports/wiki'), { recursive: true });
  await writeFile(join(dir, 'state/reports/wiki/a.json'), JSON.stringify(report));
  const { code, out } = await run('status', '--json');
  const told = JSON.parse(out);
  assert.deepEqual([code, told.exitCode, told.temporalAway], [1, 1, '127.0.0.1:1']);
  assert.deepEqual([told.sites[0].state, told.sites[0].dataFrom], ['not scheduled', report.capturedAt]);

  const id = 'backup-wiki-2026-11-21T03:00:00Z';
  await mkdir(join(dir, 'state/logs', id), { recursive: true });
  await writeFile(join(dir, 'state/logs', id, 'store.log'), 'tar: done\n');
  assert.equal((await run('logs', 'wiki')).out, '── store\ntar: done\n');
  assert.equal((await run('logs', id, '--step', 'store')).out, '── store\ntar: done\n');
});
