import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const DIR = fileURLToPath(new URL('../../docs/requirements/', import.meta.url));

/** How many requirements each application's document has. */
const COUNTS: Record<string, number> = { videocms: 14, seafile: 16, apiscp: 16, mediagit: 19, varasto: 18 };

const links = (text: string) => [...text.matchAll(/\]\(([^)#]+)[^)]*\)/g)].map(([, path]) => path ?? '');
const rowsOf = (text: string) =>
  text
    .split('\n')
    .filter((line) => /^\| R\d+ /.test(line))
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
const files = readdirSync(DIR).filter((file) => file.endsWith('.md'));

describe('docs/requirements', () => {
  it('every link leads to a file, and the list names each table', () => {
    for (const file of files) {
      const dead = links(readFileSync(`${DIR}${file}`, 'utf8')).filter((path) => !existsSync(resolve(DIR, path)));
      assert.deepEqual(dead, [], file);
    }
    const listed = links(readFileSync(`${DIR}README.md`, 'utf8'));
    const tables = Object.keys(COUNTS).map((app) => `${app}.md`);
    assert.deepEqual(listed.sort(), tables.sort());
    assert.deepEqual(files.sort(), ['README.md', ...tables].sort());
  });

  for (const file of files.filter((name) => name !== 'README.md')) {
    it(`${file} has each requirement once, in order, each with its source and its test`, () => {
      const rows = rowsOf(readFileSync(`${DIR}${file}`, 'utf8'));
      const count = COUNTS[file.replace('.md', '')];
      assert.ok(count, `${file} belongs to no application`);
      assert.deepEqual(
        rows.map(([r]) => r),
        Array.from({ length: count }, (_, i) => `R${i + 1}`),
      );
      for (const [r, asked, done = '', where = '', shown = '', ...more] of rows) {
        assert.ok(asked && done && more.length === 0, `${r} has five cells`);
        if (done.startsWith('not applicable: ')) continue;
        assert.ok(links(where).length > 0, `${r} names no source`);
        const tests = links(shown);
        assert.ok(tests.length > 0, `${r} names no test`);
        for (const path of tests) assert.match(path, /\/test\/.*\.test\.ts$/, r);
      }
    });
  }
});
