import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const load = (name: string) => import(new URL(`../../scripts/${name}`, import.meta.url).href);
const { runFile } = await load('testing/run-file.mjs');

/** The runner on real test files: a runner that says ok to a failing one would make every other test worthless. */
describe('one test file', () => {
  let dir: string;
  before(() => {
    // Below the checkout, where tsx is found.
    dir = mkdtempSync(join(import.meta.dirname, 'run-file-'));
  });
  after(() => rmSync(dir, { recursive: true }));

  const run = (body: string) => {
    const file = join(dir, `case-${Math.random().toString(36).slice(2)}.test.ts`);
    writeFileSync(file, `import { test, describe } from 'node:test';\n${body}`);
    // The outer test's mark would make the inner one report in another format.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    return runFile(file, { env });
  };

  test('passes and skips are counted, with the reason', async () => {
    const result = await run(
      `test('a', () => {}); test('b', (t) => t.skip('no tool')); describe('s', () => { test('c', () => {}); });`,
    );
    assert.equal(result.passed, 2);
    assert.deepEqual(result.skips, [{ name: 'b', reason: 'no tool' }]);
    assert.deepEqual(result.failures, []);
  });

  test('a failure in a suite is told once, by the test that failed', async () => {
    const result = await run(`describe('s', () => { test('wrong', () => { throw new Error('boom'); }); });`);
    assert.deepEqual(
      result.failures.map((f: { name: string }) => f.name),
      ['wrong'],
    );
    assert.match(result.failures[0].error, /boom/);
  });

  for (const [name, body, said] of [
    ['a skip that says nothing', `test('b', (t) => t.skip());`, /without a reason/],
    ['a file without tests', 'export {};', /no test ran/],
    ['a file that throws at its import', `throw new Error('at import');`, /ended with 1/],
    [
      'a failing hook',
      `import { after } from 'node:test'; after(() => { throw new Error('in hook'); }); test('a', () => {});`,
      /./,
    ],
  ] as const) {
    test(`${name} is a failure`, async () => {
      const result = await run(body);
      assert.ok(result.failures.length > 0);
      assert.match(result.failures[0].error, said);
    });
  }
});
