import assert from 'node:assert/strict';
import { test } from 'node:test';
import { now, Timeline, until } from '../../../scripts/demo/clock.js';

const answersAt = (...times: number[]) => {
  const timeline = new Timeline();
  for (const at of times) timeline.mark(at);
  return timeline;
};

test('an outage is the time between two answers, also where it reaches over an edge of the window', async () => {
  assert.deepEqual(await answersAt(0, 100, 1400, 1500, 3000).outages(50, 1600), [1300, 1500]);
  assert.deepEqual(await answersAt(0, 1000, 1020).outages(500, 1010), [1000]);
});

test('a slow answer is no outage', async () => {
  assert.deepEqual(await answersAt(0, 200, 440, 600).outages(0, 500), []);
});

test('the answer after the window is waited for', async () => {
  const from = now();
  const timeline = answersAt(from);
  setTimeout(() => timeline.mark(), 300);
  const outages = await timeline.outages(from, from + 10);
  const [, answered = 0] = timeline.marks;
  assert.deepEqual(outages, [answered - from]);
  assert.ok(answered - from >= 290);
});

test('waiting in vain says for what', async () => {
  await assert.rejects(
    until('rain', 30, () => undefined),
    /in vain for rain/,
  );
  assert.equal(await until('a number', 30, () => 7), 7);
});
