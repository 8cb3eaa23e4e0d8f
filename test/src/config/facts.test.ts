import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { uncovered } from '../../../src/apps/coverage.js';
import { gatherFacts } from '../../../src/config/facts.js';

test('many directories of many files are not all held in memory; each of them is looked into', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'holdfast-facts-'));
  t.after(() => rm(root, { recursive: true }));
  for (const name of ['a', 'b']) await mkdir(join(root, name));
  for (const name of ['a/1', 'a/2', 'a/3', 'b/1']) await writeFile(join(root, name), '');
  const all = await gatherFacts(root);
  assert.equal(all.entries.length, 6);
  assert.equal(all.cut, undefined);
  const facts = await gatherFacts(root, [], [], { most: 4, fewestEach: 1 });
  const { entries } = facts;
  assert.deepEqual(entries.map(({ path }) => path.slice(root.length, root.length + 2)).sort(), [
    '/a',
    '/a',
    '/a',
    '/b',
    '/b',
  ]);
  assert.deepEqual(facts.cut, [{ path: join(root, 'a'), looked: 2 }]);
  const told = (include: string[]) =>
    uncovered(root, facts, { databases: [], fileSets: [{ root, include, exclude: [] }], leftOut: [] });
  assert.deepEqual(
    told(['a/[0-9]', 'b']).filter((line) => line.startsWith('what')),
    ['what is in a beyond the first 2 names'],
  );
  assert.deepEqual(told(['a', 'b']), [], 'whole, whatever is in it');
});
