import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

const load = (name: string) => import(new URL(`../../scripts/${name}`, import.meta.url).href);
const { lockMatches } = await load('setup/lockfile.mjs');
const { installPackages, findProgram } = await load('setup/packages.mjs');
const { buildGoPrograms } = await load('setup/go-programs.mjs');

describe('node_modules is what the lockfile asks for', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'holdfast-setup-'));
    mkdirSync(join(root, 'node_modules'));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  const lock = (packages: object) => writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  const installed = (packages: object) =>
    writeFileSync(join(root, 'node_modules/.package-lock.json'), JSON.stringify({ packages }));

  test('same versions, an optional one of another platform left out', () => {
    lock({ '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { version: '1.0.0', optional: true } });
    installed({ 'node_modules/a': { version: '1.0.0' } });
    assert.equal(lockMatches(root), true);
  });

  test('another version, an absent one and an unfinished install are not', () => {
    lock({ '': {}, 'node_modules/a': { version: '1.1.0' } });
    assert.equal(lockMatches(root), false);
    installed({ 'node_modules/a': { version: '1.0.0' } });
    assert.equal(lockMatches(root), false);
    installed({});
    assert.equal(lockMatches(root), false);
  });
});

describe('programs that lack, for somebody who may not install them', () => {
  const programs = [
    { program: 'needed', package: 'p-needed', purpose: 'runtime', need: true, why: 'reads databases' },
    { program: 'nice', package: 'p-nice', purpose: 'runtime', why: 'compresses' },
    { program: 'fortests', package: 'p-tests', purpose: 'test', why: 'a throw-away server' },
  ];
  const install = (purpose: string, there: string[]) => {
    const said: string[] = [];
    const find = (program: string) => (there.includes(program) ? `/bin/${program}` : undefined);
    const error = (() => {
      try {
        installPackages(purpose, (line: string) => said.push(line), { programs, find, root: false });
      } catch (thrown) {
        return String(thrown);
      }
    })();
    return { said: said.join('\n'), error };
  };

  test('a needed one ends the setup, named with its package and what it is for', () => {
    const { said, error } = install('runtime', []);
    assert.match(error ?? '', /needed missing; install as said above/);
    assert.match(said, /MISSING needed \(package p-needed\): reads databases/);
    assert.match(said, /without nice \(package p-nice\): compresses/);
    assert.match(said, /p-needed[, ]+p-nice/);
    assert.doesNotMatch(said, /fortests/);
  });

  test('one that carries a single ability is told and does not end it', () => {
    const { said, error } = install('test', ['needed', 'nice']);
    assert.equal(error, undefined);
    assert.match(said, /without fortests/);
  });

  test('nothing is said where nothing lacks', () => {
    assert.deepEqual(install('test', ['needed', 'nice', 'fortests']), { said: '', error: undefined });
  });
});

test('a program that cannot be built is told with its reason, and the next one is built', () => {
  const said: string[] = [];
  const [root, lacks] = [tmpdir(), () => false];
  const programs = [
    { name: 'one', there: lacks, command: ['sh', '-c', 'echo no network >&2; false'] },
    { name: 'two', there: lacks, command: ['no-such-program-of-ours'] },
    { name: 'three', there: lacks, command: ['sh', '-c', 'test "$WANTED"'], env: { WANTED: 'yes' } },
    { name: 'four', there: () => true, command: ['false'] },
  ];
  buildGoPrograms(root, (line: string) => said.push(line), { programs });
  const told = said.filter((line) => line.startsWith('setup: without'));
  assert.equal(told[0], 'setup: without one: no network');
  assert.match(told[1] ?? '', /^setup: without two: .*ENOENT/);
  assert.equal(told.length, 2);
  assert.equal(said.filter((line) => line.includes('once)')).length, 3);
});

test('a program is found by name and by path', () => {
  assert.match(findProgram('sh'), /\/sh$/);
  assert.equal(findProgram('/bin/sh'), '/bin/sh');
  assert.equal(findProgram('no-such-program-of-ours'), undefined);
});
