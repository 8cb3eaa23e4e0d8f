import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { mediagitChecks } from '../../../activities/checks/mediagit.js';
import type { Plan } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';
import {
  fixture,
  NO_MEDIAGIT_FIXTURES,
  type Sample,
  sampleRepository,
  unpackSet,
} from '../../support/mediagit-repository.js';
import { flip } from '../../support/videocms-site.js';

const dirs: string[] = [];
after(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true }))));

async function temp(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-mediagit-'));
  dirs.push(dir);
  return dir;
}

/** Repairs the repository below `root` from a copy of it, as a snapshot would give its files. */
async function repair(root: string, copy: string) {
  const asked: string[] = [];
  const fetch = async (paths: string[]) => {
    asked.push(...paths);
    const there = paths.map((path) => [path, join(copy, path.slice(root.length))] as const);
    return new Map(there.filter(([, from]) => existsSync(from)));
  };
  const plan = { site: 'media', root, options: {} } as unknown as Plan;
  const done = await mediagitChecks.repair!({ plan, fetch }, await testContext());
  return { ...done, asked };
}

async function twins(): Promise<{ root: string; copy: string; sample: Sample }> {
  const [root, copy] = [await temp(), await temp()];
  const sample = await sampleRepository(join(root, '.mediagit'));
  await cp(join(root, '.mediagit'), join(copy, '.mediagit'), { recursive: true });
  return { root, copy, sample };
}

test('a whole repository is repaired by asking for nothing', async () => {
  const { root, copy } = await twins();
  assert.deepEqual(await repair(root, copy), { repaired: [], left: [], asked: [] });
});

test('objects, chunks, manifests, deltas and commits come back, and what they alone lead to', async () => {
  const { root, copy, sample } = await twins();
  const { files, path } = sample;
  await rm(path('object', files['page.html']!));
  flip(path('object', files['mid.bin']!), 100);
  await rm(path('manifest', files['clip.mov']!));
  for (const chunk of (await readdir(join(sample.store, 'ch/un')))
    .filter((name) => name.startsWith('chunks__'))
    .slice(0, 2))
    await rm(join(sample.store, 'ch/un', chunk));
  await truncate(path('delta', files['mid-2.bin']!), 20);
  // Nobody can tell what lacks behind a commit that lacks.
  await rm(path('object', sample.main));
  await rm(path('object', files['notes.txt']!));
  const { repaired, left } = await repair(root, copy);
  assert.deepEqual(left, []);
  assert.ok(repaired.length >= 7, repaired.join('\n'));
  assert.deepEqual((await repair(root, copy)).repaired, []);
  const aside = await readdir(join(sample.git, 'holdfast-damaged'));
  assert.equal(aside.length, 2, 'the two damaged ones are kept');
});

test('what the snapshot has damaged too is not put in place, and told', async () => {
  const { root, copy, sample } = await twins();
  const [one, other] = [
    sample.path('object', sample.files['mid.bin']!),
    sample.path('object', sample.files['notes.txt']!),
  ];
  flip(one, 100);
  await rm(other);
  flip(join(copy, one.slice(root.length)), 200);
  await rm(join(copy, other.slice(root.length)));
  await rm(join(sample.git, 'refs/tags/light'));
  await cp(join(copy, '.mediagit/refs/heads/main'), join(sample.git, 'refs/heads/other'));
  const { repaired, left, asked } = await repair(root, copy);
  assert.deepEqual(repaired, []);
  assert.match(left.join('\n'), /damaged object .*\nmissing object .*notes\.txt/s);
  assert.ok(asked.length > 0);
  assert.deepEqual(await readdir(sample.git).then((names) => names.includes('holdfast-damaged')), false);
  assert.equal((await readdir(join(one, '..'))).length, 1, 'no half copy is left');
});

test('the damaged real set is whole again from the good one', { skip: NO_MEDIAGIT_FIXTURES }, async () => {
  const [root, copy] = [await temp(), await temp()];
  await unpackSet('project-corrupt', root);
  await unpackSet('project-ok', copy);
  const { repaired, left } = await repair(root, copy);
  assert.deepEqual(repaired.map((line) => line.split(' ').slice(0, 3).join(' ')).sort(), [
    'damaged chunk 329e0a85c3cb',
    'damaged object d6aae7e6364a',
    'missing object 8aaab838017b',
  ]);
  assert.deepEqual(left, []);
  const { execFileSync } = await import('node:child_process');
  execFileSync('sha256sum', ['--check', '--quiet', fixture('project-ok.sha256')], { cwd: root });
});
