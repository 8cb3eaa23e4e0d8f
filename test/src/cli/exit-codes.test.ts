import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { EXIT, exitOf } from '../../../src/cli/exit-codes.js';
import { explainFailure, isTemporalAway } from '../../../src/cli/explain-error.js';
import { failure } from '../../../src/core/failures.js';
import type { Outcome } from '../../../src/core/report.js';

test('the table that scripts rely on', () => {
  assert.deepEqual(EXIT, {
    completed: 0,
    failed: 1,
    usage: 2,
    partial: 3,
    skipped: 4,
    waits: 5,
    down: 6,
    temporalAway: 7,
    noWorker: 8,
    detached: 130,
  });
});

const cases: [Outcome, string[], number][] = [
  ['completed', [], 0],
  ['failed', ['RepositoryPassword'], 1],
  ['cancelled', [], 1],
  ['failed', ['InvalidInput'], 2],
  ['failed', ['UnknownSite'], 2],
  ['partial', ['RepositoryDenied'], 3],
  ['skipped', [], 4],
  ['failed', ['NoWorker'], 8],
  ['failed', ['RepositoryDenied', 'ApplicationDown'], 6],
  ['partial', ['ApplicationDown'], 6],
  ['completed', ['ApplicationDown'], 6],
];
for (const [outcome, types, code] of cases) {
  test(`${outcome} with ${types.join(', ') || 'no failure'} ends with ${code}`, () =>
    assert.equal(exitOf(outcome, types), code));
}

test('a failure of the catalogue says its own line, and lists its mistakes', () => {
  const error = failure('InvalidConfig', {
    step: 'config',
    host: 'local',
    what: '2 mistakes',
    details: { mistakes: ['a', 'b'] },
  });
  assert.deepEqual(explainFailure(error), { code: 2, message: error.message, mistakes: ['a', 'b'] });
});

test('no connection, a deadline and a server that is starting are all "Temporal is away"', () => {
  const grpc = Object.assign(new Error('14 UNAVAILABLE: connection refused'), { code: 14 });
  assert.ok(isTemporalAway(grpc));
  assert.ok(isTemporalAway(Object.assign(new Error('x'), { cause: grpc })));
  assert.ok(isTemporalAway(new Error('Failed to connect before the deadline')));
  assert.equal(explainFailure(grpc).code, 7);
  assert.ok(!isTemporalAway(new Error('something else')));
  assert.ok(!isTemporalAway(ApplicationFailure.nonRetryable('no')));
});
