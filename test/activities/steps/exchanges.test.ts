import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { diskOf } from '../../../activities/capture/disk.js';
import { type Exchange, exchangesOf, mustBeRenames, mustShareDisk } from '../../../activities/steps/exchanges.js';
import { laterOf } from '../../../activities/steps/later.js';
import type { Manifest } from '../../../src/core/manifest.js';
import type { Plan } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

const run = promisify(execFile);

interface Made {
  root: string;
  site: string;
  manifest: Manifest;
  plan: Plan;
}

/** A site whose one file set is all of its root, without its database: what `generic` plans. */
async function made(files: string[], exclude: string[] = []): Promise<Made> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-exchanges-'));
  const [root, site] = [join(dir, 'app'), join(dir, '.app.holdfast-1/site')];
  for (const file of [...files, 'data/app.db', '.holdfast/manifest.json']) {
    await mkdir(dirname(join(site, file)), { recursive: true });
    await writeFile(join(site, file), file);
  }
  await mkdir(root);
  const path = join(root, 'data/app.db');
  const set = { name: 'files', root, include: [], exclude: ['data/app.db', 'data/app.db-wal', ...exclude] };
  const manifest = {
    root,
    databases: [{ name: 'app', kind: 'sqlite', path }],
    fileSets: [{ name: 'files', root, list: 'lists/files.jsonl' }],
  };
  const plan = { root, databases: [{ kind: 'sqlite', path }], fileSets: [set] };
  return { root, site, manifest: manifest as unknown as Manifest, plan: plan as unknown as Plan };
}

const exchangesIn = ({ root, site, manifest, plan }: Made, only?: string[]): Promise<Exchange[]> =>
  exchangesOf(manifest, site, join(dirname(root), '.app.before-1'), plan, only);

const names = (exchanges: Exchange[], root: string): string[] =>
  exchanges
    .filter(({ incoming }) => incoming)
    .map(({ live }) => relative(root, live))
    .sort();

test('a directory in which nothing stays is exchanged whole, one that holds the database is looked into', async () => {
  const site = await made(['media/1/a.ts', 'media/2/b.ts', 'data/keys/k', 'data/note', '.env']);
  const found = await exchangesIn(site);
  assert.deepEqual(names(found, site.root), ['.env', 'data/app.db', 'data/keys', 'data/note', 'media']);
  assert.ok(found.every(({ live }) => !live.includes('.holdfast')));
  assert.deepEqual(names(await exchangesIn(site, ['files']), site.root), ['.env', 'data/keys', 'data/note', 'media']);
  assert.deepEqual(names(await exchangesIn(site, ['app']), site.root), ['data/app.db']);
});

test('where a pattern may leave out anything, files are exchanged one by one, and too many are refused', async () => {
  const site = await made(['a/b/1', 'a/b/2', 'cache/x/1', 'c/1'], ['cache/**/*.tmp']);
  assert.deepEqual(names(await exchangesIn(site), site.root), ['a', 'c', 'cache/x/1', 'data/app.db']);
  const many = await made(
    Array.from({ length: 1100 }, (_, i) => `m/${i}`),
    ['**/*.tmp'],
  );
  const ctx = await testContext();
  const exchanges = await exchangesIn(many);
  await assert.rejects(mustBeRenames(exchanges, dirname(many.root), ctx), { type: 'RestoreRefused' });
});

test('what came later into a directory of which something stays goes aside; what is no part of the set stays', async () => {
  const site = await made(['media/1/a.ts', '.env'], ['cache']);
  for (const path of ['data/app.db', 'data/app.db-wal', 'data/later', 'cache/1', 'media/later', 'new/one', '.env']) {
    await mkdir(dirname(join(site.root, path)), { recursive: true });
    await writeFile(join(site.root, path), path);
  }
  await mkdir(join(site.root, '.app.before-0'));
  const { root, manifest, plan } = site;
  const found = await laterOf(manifest, site.site, join(dirname(root), '.app.before-1'), plan, undefined);
  // `media` is exchanged whole, so what came into it goes aside with it.
  assert.deepEqual(found.map(({ live }) => relative(root, live)).sort(), ['data/later', 'new']);
  assert.ok(found.every(({ incoming }) => incoming === undefined));
  assert.deepEqual(await laterOf(manifest, site.site, '/aside', plan, ['app']), []);
  const ours = [join(root, 'new/one'), join(root, 'data/later')];
  assert.deepEqual(await laterOf(manifest, site.site, '/aside', plan, undefined, ours), [], 'what a run lives on');
});

test('what lies on another disk, or is a mount point, is refused: moving it would be a copy', async (t) => {
  const ctx = await testContext();
  const site = await made(['media/a']);
  const home = dirname(site.root);
  await mustBeRenames(await exchangesIn(site), home, ctx);
  const other = await mkdtemp('/dev/shm/holdfast-disk-').catch(() => undefined);
  if (!other || (await diskOf(other)) === (await diskOf(home))) return t.skip('no second file system');
  try {
    await symlink(other, join(site.root, 'data'));
    await assert.rejects(mustBeRenames(await exchangesIn(site), home, ctx), { type: 'RestoreRefused' });
    const libraries = { name: 'libraries', root: other, include: [] as string[] };
    const plan = { ...site.plan, fileSets: [...site.plan.fileSets, libraries] } as Plan;
    const early = (only?: string[]) => mustShareDisk(plan, only, home, ctx);
    await assert.rejects(
      early(),
      /lies on another disk than the site; restore into a directory/,
      'before it is fetched',
    );
    await early(['files']);
  } finally {
    await rm(other, { recursive: true });
  }
});

test('a bind mount of the same file system is another disk', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-bind-'));
  await mkdir(join(dir, 'a b'));
  const url = new URL('../../../activities/capture/disk.ts', import.meta.url).href;
  const script = `import { diskOf, mountsBelow } from ${JSON.stringify(url)};
    const [dir] = process.argv.slice(1);
    console.log((await diskOf(dir + '/a b/new')) === (await diskOf(dir + '/new')), (await mountsBelow(dir)).length);`;
  const node = [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', script, dir];
  const bound = ['-m', 'sh', '-c', 'mount --bind "$0/a b" "$0/a b" && exec "$@"', dir, ...node];
  assert.equal((await run(node[0] as string, node.slice(1))).stdout, 'true 0\n');
  const answer = await run('unshare', bound).catch(() => undefined);
  if (!answer) return t.skip('no mount namespace here');
  assert.equal(answer.stdout, 'false 1\n');
});
