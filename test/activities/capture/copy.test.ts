import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { copyMutableSets, copyTree, warmDirectory } from '../../../activities/capture/copy.js';
import { walk } from '../../../activities/capture/walk.js';
import type { PlannedEnv } from '../../../activities/step.js';
import type { FileSetSpec, Plan } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

async function made(change: Partial<FileSetSpec> = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-copy-'));
  const root = join(dir, 'files');
  await mkdir(root);
  const set: FileSetSpec = {
    ...{ name: 'files', root, include: [], exclude: [], optional: false, change: 'mutable', mayBeEmpty: false },
    ...change,
  };
  const ctx = await testContext({ site: 'cms' });
  const plan = { site: 'cms', fileSets: [set], limits: { idleMs: 10_000 } } as unknown as Plan;
  const env = { ctx, plan, deps: { state: ctx.state } } as unknown as PlannedEnv;
  return { dir, root, set, plan, env };
}

test('a file that changes twice within a second, its size the same, is not taken from the warm pass', async () => {
  const { dir, root, set, plan, env } = await made();
  const [file, second] = [join(root, 'state'), Date.parse('2026-01-01T10:00:00Z') / 1000];
  await writeFile(file, 'old');
  await utimes(file, second, second + 0.1);
  const warm = warmDirectory(env, set);
  await mkdir(warm, { recursive: true });
  await copyTree(set, warm, undefined, env);
  await writeFile(file, 'new');
  await utimes(file, second, second + 0.8);
  await copyMutableSets(plan, join(dir, 'capture'), undefined, env);
  assert.equal(await readFile(join(dir, 'capture/files/files/state'), 'utf8'), 'new');
});

test('a required set that is gone once the application stands still is a failure, an optional one is not', async () => {
  const gone = await made({ root: '/nonexistent/files' });
  await assert.rejects(copyMutableSets(gone.plan, gone.dir, undefined, gone.env), { type: 'SourceMissing' });
  const optional = await made({ root: '/nonexistent/files', optional: true });
  await copyMutableSets(optional.plan, optional.dir, undefined, optional.env);
});

test('a name that is no UTF-8 is told as unreadable, never left out in silence', async () => {
  const { root, set } = await made();
  await writeFile(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]), 'x');
  await writeFile(join(root, 'really \uFFFD'), 'x');
  const unreadable: string[] = [];
  const seen: string[] = [];
  for await (const line of walk(set, (path) => unreadable.push(path))) seen.push(line.p);
  assert.deepEqual(seen, ['really \uFFFD']);
  assert.deepEqual(unreadable, ['caf\uFFFD (its name is no UTF-8)']);
});

test('a pattern takes and leaves out names with line breaks like any other', async () => {
  const { dir, root, plan, env } = await made({ include: ['data'], exclude: ['data/skip'] });
  const names = ['data/two\nlines', 'data/in\r\nside/file', 'data/paragraph\u2029', 'data/plain'];
  for (const name of [...names, 'data/skip/two\nlines']) {
    await mkdir(dirname(join(root, name)), { recursive: true });
    await writeFile(join(root, name), name);
  }
  await copyMutableSets(plan, join(dir, 'capture'), undefined, env);
  const target = join(dir, 'capture/files/files');
  for (const name of names) assert.equal(await readFile(join(target, name), 'utf8'), name);
  await assert.rejects(readFile(join(target, 'data/skip/two\nlines')));
});
