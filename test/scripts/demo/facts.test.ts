import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Facts, toJson, untrueClaims } from '../../../scripts/demo/facts.js';

const good: Facts = {
  app: 'videocms',
  engine: 'restic',
  site: { rows: 26, files: 412, bytes: 210_000_000 },
  copy: { integrity: 'ok', rows: 0 },
  floorMs: 1260.4,
  naiveMs: 4900,
  downtimeMs: 1310.6,
  hopMs: 44,
  backup: {
    outcome: 'completed',
    level: 'verified',
    seconds: 3.2,
    bytes: 1,
    snapshot: 'f93cb55b',
    historyEvents: 53,
    historyBytes: 17_315,
  },
  crash: { downMs: 2900, stops: 2, outcome: 'completed', snapshots: 1 },
  broken: { status: 500 },
  restore: {
    outcome: 'completed',
    seconds: 4,
    rowsChecked: 300,
    rowsLost: 0,
    rowsAfterSnapshot: 12,
    rowsPutAside: 12,
    files: 412,
    filesLost: 0,
  },
  proof: { outcome: 'proven', checks: 14, passed: 14, booted: true, played: true, seconds: 5 },
  flippedByteFound: true,
  ui: 'http://127.0.0.1:8233',
  seconds: 48,
};

describe('the demo ends with 0 only if all of it is true', () => {
  test('nothing is untrue of a good run, and the JSON has the promised keys', () => {
    assert.deepEqual(untrueClaims(good), []);
    assert.deepEqual(toJson(good, []), {
      outcome: 'completed',
      app: 'videocms',
      engine: 'restic',
      downtimeMs: 1311,
      floorMs: 1260,
      naiveMs: 4900,
      hopMs: 44,
      backup: { seconds: 3.2, bytes: 1, snapshot: 'f93cb55b', historyEvents: 53, historyBytes: 17_315 },
      crash: { downMs: 2900, outcome: 'completed', snapshots: 1 },
      restore: { seconds: 4, rowsLost: 0, rowsAfterSnapshot: 12, filesLost: 0 },
      proof: { outcome: 'proven', checks: 14 },
      ui: 'http://127.0.0.1:8233',
    });
  });

  const bad: [string, Partial<Facts>][] = [
    ['a copy that had its rows', { copy: { integrity: 'ok', rows: 26 } }],
    ['a failed backup', { backup: { ...good.backup, outcome: 'failed' } }],
    ['a backup that is only stored', { backup: { ...good.backup, level: 'stored' } }],
    ['a second snapshot after the crash', { crash: { ...good.crash, snapshots: 2 } }],
    ['no snapshot after the crash', { crash: { ...good.crash, snapshots: 0 } }],
    ['a crashed run that did not complete', { crash: { ...good.crash, outcome: 'failed' } }],
    ['a wrecked site that still answers', { broken: { status: 200 } }],
    ['a failed restore', { restore: { ...good.restore, outcome: 'failed' } }],
    ['a lost row', { restore: { ...good.restore, rowsLost: 1 } }],
    ['no row that was looked at', { restore: { ...good.restore, rowsChecked: 0 } }],
    ['a lost file', { restore: { ...good.restore, filesLost: 1 } }],
    ['a failed proof', { proof: { ...good.proof, outcome: 'failed' } }],
    ['a failed check', { proof: { ...good.proof, passed: 13 } }],
    ['no check', { proof: { ...good.proof, checks: 0, passed: 0 } }],
    ['no boot', { proof: { ...good.proof, booted: false } }],
    ['no segment', { proof: { ...good.proof, played: false } }],
    ['a flipped byte that nobody found', { flippedByteFound: false }],
  ];
  for (const [name, change] of bad) {
    test(`${name} is one untrue claim`, () => {
      const untrue = untrueClaims({ ...good, ...change });
      assert.equal(untrue.length, 1, untrue.join('; '));
      assert.equal(toJson(good, untrue).outcome, 'failed');
    });
  }
});
