import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { FAILURES } from '../../../src/core/failures.js';
import { troubleshootingText } from '../../../src/core/troubleshooting.js';

const file = new URL('../../../docs/troubleshooting.md', import.meta.url);
if (process.argv.includes('--write')) await writeFile(file, troubleshootingText());

test('docs/troubleshooting.md says what the catalogue says', async () => {
  assert.equal(
    await readFile(file, 'utf8'),
    troubleshootingText(),
    'run: node --import tsx test/src/core/troubleshooting.test.ts --write',
  );
});

test('it names every failure once', () => {
  const named = [...troubleshootingText().matchAll(/^\| `(\w+)` \|/gm)].map(([, type]) => type);
  assert.deepEqual(named.sort(), Object.keys(FAILURES).sort());
});
