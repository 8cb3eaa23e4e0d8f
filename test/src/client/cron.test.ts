import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cronToCalendars, every, SPREAD_WORDS, spread } from '../../../src/client/cron.js';

const one = (start: number, end = start, step = 1) => ({ start, end, step });

test('a cron line becomes one calendar with every field written out', () => {
  assert.deepEqual(cronToCalendars('30 3 * * 1-5'), [
    {
      second: [one(0)],
      minute: [one(30)],
      hour: [one(3)],
      dayOfMonth: [one(1, 31)],
      month: [{ start: 'JANUARY', end: 'DECEMBER', step: 1 }],
      year: [],
      dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY', step: 1 }],
      comment: '30 3 * * 1-5',
    },
  ]);
});

test('lists, steps, names and Sunday as 7', () => {
  assert.deepEqual(cronToCalendars('*/15 0,12 * * *')?.[0]?.minute, [one(0, 59, 15)]);
  assert.deepEqual(cronToCalendars('7/15 0,12 * * *')?.[0]?.minute, [one(7, 59, 15)]);
  assert.deepEqual(cronToCalendars('0 0,12 * * *')?.[0]?.hour, [one(0), one(12)]);
  assert.deepEqual(cronToCalendars('0 0 * FEB-apr *')?.[0]?.month, [{ start: 'FEBRUARY', end: 'APRIL', step: 1 }]);
  assert.deepEqual(cronToCalendars('0 0 * * 7')?.[0]?.dayOfWeek, [{ start: 'SUNDAY', end: 'SUNDAY', step: 1 }]);
  assert.deepEqual(cronToCalendars('0 0 * * 5-7')?.[0]?.dayOfWeek, [
    { start: 'FRIDAY', end: 'SATURDAY', step: 1 },
    { start: 'SUNDAY', end: 'SUNDAY', step: 1 },
  ]);
});

test('a date and a weekday together mean either, as in every cron', () => {
  const calendars = cronToCalendars('0 3 1 * mon');
  assert.equal(calendars?.length, 2);
  assert.deepEqual(calendars?.[0]?.dayOfMonth, [one(1)]);
  assert.deepEqual(calendars?.[0]?.dayOfWeek, [{ start: 'SUNDAY', end: 'SATURDAY', step: 1 }]);
  assert.deepEqual(calendars?.[1]?.dayOfMonth, [one(1, 31)]);
  assert.deepEqual(calendars?.[1]?.dayOfWeek, [{ start: 'MONDAY', end: 'MONDAY', step: 1 }]);
});

for (const bad of [
  '',
  '0 3 * *',
  '0 3 * * * *',
  '60 3 * * *',
  '0 24 * * *',
  '0 3 0 * *',
  '0 3 * * 8',
  '0 3 * * xyz',
  '*/0 * * * *',
  '5-3 * * * *',
  'nightly',
]) {
  test(`"${bad}" is no cron`, () => assert.equal(cronToCalendars(bad), undefined));
}

test('words are spread over sites, always the same for one, and are cron lines themselves', () => {
  for (const word of SPREAD_WORDS) {
    const keys = Array.from({ length: 200 }, (_, i) => `backup-site${i}`);
    const lines = keys.map((key) => spread(word, key));
    assert.deepEqual(
      lines,
      keys.map((key) => spread(word, key)),
    );
    assert.ok(new Set(lines).size > 30, `${word}: ${new Set(lines).size} different times`);
    assert.ok(lines.every((line) => cronToCalendars(line)?.length === 1));
  }
  assert.match(spread('daily', 'backup-cms'), /^\d+ [0-5] \* \* \*$/);
});

test('every so many minutes stays within the hour', () => {
  fc.assert(
    fc.property(fc.string(), (key) => {
      const minutes = cronToCalendars(every(15, key))?.[0]?.minute[0];
      assert.ok(minutes && minutes.start < 15 && minutes.step === 15 && minutes.end === 59);
    }),
  );
});
