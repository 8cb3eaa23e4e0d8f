import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failedCheck, fromRoots } from '../../../src/core/proof-text.js';

const root = '/var/lib/holdfast/scratch/holdfast-0123456789ab/site';
const places = Array.from({ length: 10 }, (_, n) => `${root}/videos/qualitys/${'u'.repeat(36)}/360p/out${n}.ts`);
const check = { name: 'segments', ok: false, evidence: `10 of 61 are missing: ${places[0]}`, places };

test('ten places are one short line: the first ones, from the root of the site on, and how many more', () => {
  const said = failedCheck(fromRoots(check, [root, '/srv/cms/']));
  const at = (n: number) => `videos/qualitys/${'u'.repeat(36)}/360p/out${n}.ts`;
  assert.equal(said, `segments: 10 of 61 are missing: ${at(0)} (${at(1)} and 8 more)`);
  assert.ok(said.length <= 220, `${said.length} characters`);
});

test('few and short places are all named; without places the evidence stands alone', () => {
  const of = (some?: string[]) =>
    failedCheck({ name: 'rows', ok: false, evidence: '3 rows, not 4', ...(some && { places: some }) });
  assert.equal(of(), 'rows: 3 rows, not 4');
  assert.equal(of(['a', 'b']), 'rows: 3 rows, not 4 (a, b)');
  assert.equal(of(['a', 'b', 'c', 'd']), 'rows: 3 rows, not 4 (a, b and 2 more)');
  assert.equal(of(['x'.repeat(300)]), 'rows: 3 rows, not 4 (and 1 more)');
});

test('a place in another root, and one of a site whose root is the whole machine, are told whole', () => {
  const other = { ...check, evidence: '/mnt/media/a is missing', places: ['/mnt/media/a'] };
  assert.deepEqual(fromRoots(other, [root, '/']), other);
});
