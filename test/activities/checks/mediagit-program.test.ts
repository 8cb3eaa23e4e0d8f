import assert from 'node:assert/strict';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { mediagitChecks } from '../../../activities/checks/mediagit.js';
import { MEDIAGIT_ARGS } from '../../../activities/checks/mediagit-program.js';
import { MEDIAGIT_REMOTE_ARGS } from '../../../activities/checks/mediagit-remote.js';
import type { Restored } from '../../../activities/contracts.js';
import { testContext } from '../../support/context.js';
import { type Sample, sampleRepository } from '../../support/mediagit-repository.js';

/*
 * The program itself cannot be had everywhere: one of our own takes its place here, which speaks as the real one was seen to. It writes down
 * what it is asked for, and what its config says at that moment.
 */

const dir = await mkdtemp(join(tmpdir(), 'holdfast-mediagit-'));
const path = process.env.PATH;
after(async () => {
  process.env.PATH = path;
  await rm(dir, { recursive: true, force: true });
});

async function install(name: string, reset: string): Promise<string> {
  const bin = join(dir, name);
  await mkdir(bin);
  const lines = ['#!/bin/sh', `echo "$*" >>${bin}/calls`, `cat .mediagit/config.toml >${bin}/config`];
  await writeFile(join(bin, 'mediagit'), `${[...lines, `[ "$1" != reset ] || { ${reset}; }`].join('\n')}\n`);
  await chmod(join(bin, 'mediagit'), 0o755);
  process.env.PATH = `${bin}:${path}`;
  return bin;
}

async function restored(name: string): Promise<{ given: Restored; sample: Sample }> {
  const root = join(dir, `${name}-site`);
  const sample = await sampleRepository(join(root, '.mediagit'));
  const scratch = join(dir, `${name}-scratch`);
  await mkdir(scratch);
  const manifest = { root: '/srv/media', databases: [], fileSets: [] } as never;
  const plan = { site: 'media', root: '/srv/media', options: {} } as never;
  const relocate = (at: string) => at.replace('/srv/media', root);
  return { given: { root, manifest, plan, relocate, scratch, part: { n: 1, of: 1 } }, sample };
}

test('each branch is checked out from a copy that knows neither the original nor a remote', async () => {
  const { given, sample } = await restored('good');
  const trees = join(dir, 'trees');
  const raw = async (id: string, name: string, content: Buffer | string) => {
    await mkdir(dirname(join(trees, id, name)), { recursive: true });
    await writeFile(join(trees, id, name), content);
  };
  const mid = (await readFile(sample.path('object', sample.files['mid.bin']!))).subarray(1);
  for (const id of [sample.main, sample.grade]) {
    await raw(id, 'clip.mov', sample.clip);
    await raw(id, 'clip-2.mov', sample.cut);
    await raw(id, 'mid.bin', mid);
    await raw(id, 'mid-2.bin', Buffer.concat([mid, Buffer.from('and more')]));
    await raw(id, 'notes.txt', 'first take\n'.repeat(200));
    await raw(id, 'page.html', '<p>hello</p>'.repeat(50));
    await raw(id, 'old.txt', 'kept by zlib '.repeat(90));
  }
  await raw(sample.grade, 'grade.txt', 'graded');
  const before = join(dir, 'before');
  await cp(sample.git, before, { recursive: true, preserveTimestamps: true });
  const bin = await install('good-bin', `cp -a ${trees}/$3/. .`);
  const checks = await mediagitChecks.checks(given, await testContext());
  assert.deepEqual(
    checks.filter(({ ok }) => !ok),
    [],
  );
  assert.deepEqual(
    checks.filter(({ name }) => name.startsWith('checkout')).map(({ name, evidence }) => `${name}: ${evidence}`),
    [
      'checkout of refs/heads/grade: 8 files are what the commit says',
      'checkout of refs/heads/main: 7 files are what the commit says',
    ],
  );
  assert.deepEqual((await readFile(join(bin, 'calls'), 'utf8')).trim().split('\n'), [
    `reset --hard ${sample.grade}`,
    `reset --hard ${sample.main}`,
    'fsck',
    'verify HEAD',
    'log --oneline -5',
  ]);
  const config = await readFile(join(bin, 'config'), 'utf8');
  assert.match(config, new RegExp(`base_path = "${given.scratch}/`));
  assert.doesNotMatch(config, /remotes|http/);
  const text = await readFile(join(sample.git, 'config.toml'), 'utf8');
  assert.equal(text, await readFile(join(before, 'config.toml'), 'utf8'), 'the restored one is as it was');
});

test('a checkout that ends with 0 and is wrong, and a signal that fails, count', async () => {
  const { given } = await restored('bad');
  await install('bad-bin', 'echo wrong >clip.mov');
  const bad = (await mediagitChecks.checks(given, await testContext())).filter(({ ok }) => !ok);
  assert.deepEqual(
    bad.map(({ name }) => name),
    ['checkout of refs/heads/grade', 'checkout of refs/heads/main'],
  );
  await install('failing-bin', 'exit 1');
  const failing = (await mediagitChecks.checks(given, await testContext())).filter(({ ok }) => !ok);
  assert.match(failing[0]?.evidence ?? '', /reset --hard ended with 1/);
});

test('without the program that is said', async () => {
  const { given } = await restored('none');
  const ctx = await testContext();
  process.env.PATH = path
    ?.split(':')
    .filter((each) => !each.startsWith(dir))
    .join(':');
  const checks = await mediagitChecks.checks(given, ctx);
  assert.ok(checks.every(({ ok }) => ok));
  if (checks.some(({ name }) => name.startsWith('checkout'))) return;
  assert.match(ctx.notes.join(), /the program mediagit is not installed here/);
});

test('of a cloud it is said that its objects are not proven; without its config.toml nothing is', async () => {
  const { given, sample } = await restored('cloud');
  const plan = { ...given.plan, options: { storage: 'cloud' } };
  const found = await mediagitChecks.checks({ ...given, plan }, await testContext());
  assert.deepEqual(
    found.map(({ name, ok }) => [name, ok]),
    [
      ['refs', true],
      ['configuration', true],
      ['objects', true],
    ],
  );
  assert.match(found.at(-1)?.evidence ?? '', /kept by the provider: no part of this backup, and not proven/);
  await rm(join(sample.git, 'config.toml'));
  const [lacking, ...more] = (await mediagitChecks.checks({ ...given, plan }, await testContext())).filter(
    ({ ok }) => !ok,
  );
  assert.deepEqual([lacking?.name, lacking?.places, more], ['configuration', ['.mediagit/config.toml'], []]);
});

test('nothing of ours ever asks the program to repair or to collect garbage', async () => {
  const { push, clone, pull } = MEDIAGIT_REMOTE_ARGS;
  const remote = [push('r', 'b'), clone('url', 'dir'), pull('b')];
  const asked = JSON.stringify([MEDIAGIT_ARGS.checkout('id'), ...MEDIAGIT_ARGS.signals, ...remote]);
  assert.doesNotMatch(asked, /repair|gc|prune|lost-found|full/);
  const { readdir } = await import('node:fs/promises');
  const here = new URL('../../../activities/checks/', import.meta.url);
  for (const file of (await readdir(here)).filter((name) => name.startsWith('mediagit'))) {
    const text = await readFile(new URL(file, here), 'utf8');
    const runs = [...text.matchAll(/ctx\.run\(\s*('mediagit'|program), ([^)]{0,40})/g)].map(([, , args]) => args ?? '');
    if (!['mediagit-program.ts', 'mediagit-remote.ts'].includes(file)) assert.deepEqual(runs, [], file);
    for (const args of runs) assert.match(args, /^(args|MEDIAGIT_REMOTE_ARGS\.|\[\.\.\.prefix, \.\.\.args\])/, file);
  }
});
