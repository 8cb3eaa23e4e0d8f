import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Snapshot } from '../../../src/core/manifest.js';
import type { Keep } from '../../../src/core/plan.js';
import { type PruneRequest, planPrune } from '../../../src/core/retention.js';

const HOUR = 3600_000;
const DAY = 24 * HOUR;
const NOW = new Date('2026-11-21T09:00:00Z');
const ZURICH = 'Europe/Zurich';

function snapshot(id: string, capturedAt: string | number, more: Partial<Snapshot> = {}): Snapshot {
  const at = new Date(capturedAt).toISOString();
  return {
    id,
    repository: 'nas',
    captureId: `capture-${id}`,
    runId: 'run',
    siteId: 'site',
    kind: 'regular',
    capturedAt: at,
    storedAt: at,
    complete: true,
    ...more,
  };
}

function request(snapshots: Snapshot[], keep: Keep | undefined, more: Partial<PruneRequest> = {}): PruneRequest {
  return {
    snapshots,
    keep,
    now: NOW,
    timezone: ZURICH,
    verified: new Set(snapshots.map((s) => s.id)),
    proven: new Set(),
    gates: { verifyFailed: false, clockOffMs: 0 },
    allow: ['most'],
    ...more,
  };
}

const ids = (plan: { keep: { id: string }[] }) => plan.keep.map((k) => k.id);
const nights = (count: number) =>
  Array.from({ length: count }, (_, n) => snapshot(`n${n}`, Date.parse('2026-11-21T02:00:00Z') - n * DAY));

test('the newest of each bucket stays, counted in buckets that have one', () => {
  const plan = planPrune(request(nights(40), { daily: 3, weekly: 2, monthly: 2 }));
  // Sunday 2026-11-15 is the newest of its week, 2026-10-31 of its month.
  assert.deepEqual(ids(plan), ['n0', 'n1', 'n2', 'n6', 'n21']);
  assert.deepEqual(plan.keep[0]?.reasons, ['daily', 'weekly', 'monthly', 'newest verified']);
  assert.equal(plan.remove.length, 35);
  assert.equal(plan.remove[0], 'n39');
});

test('no keep, and one without a number, keep all', () => {
  for (const keep of [undefined, {}]) {
    const plan = planPrune(request([...nights(9), snapshot('s', 0, { kind: 'safety' })], keep));
    assert.deepEqual(plan.remove, []);
    assert.equal(plan.keep.length, 10);
    assert.equal(plan.refused, undefined);
  }
});

test('a day is a day of the site, not of UTC', () => {
  // 23:30 on the 20th and 00:30 on the 21st in Zurich are one day in UTC.
  const two = [snapshot('late', '2026-11-20T22:30:00Z'), snapshot('early', '2026-11-20T23:30:00Z')];
  assert.deepEqual(ids(planPrune(request(two, { daily: 5 }))), ['early', 'late']);
  assert.deepEqual(ids(planPrune(request(two, { daily: 5 }, { timezone: 'UTC' }))), ['early']);
});

test('the hour that autumn repeats is two hours; the one that spring leaves out needs none', () => {
  const autumn = ['2026-10-24T23:30:00Z', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z'];
  const spring = ['2026-03-29T00:30:00Z', '2026-03-29T01:30:00Z', '2026-03-29T02:30:00Z'];
  for (const times of [autumn, spring]) {
    const snapshots = times.map((at, n) => snapshot(`${n}`, at));
    assert.deepEqual(planPrune(request(snapshots, { hourly: 9 })).remove, []);
  }
  // A day of 25 hours is one day all the same.
  assert.deepEqual(
    ids(
      planPrune(
        request(
          autumn.map((at, n) => snapshot(`${n}`, at)),
          { daily: 9 },
        ),
      ),
    ),
    ['3'],
  );
});

test('a week does not end with the year', () => {
  const days = ['2026-12-28T03:00:00Z', '2026-12-31T03:00:00Z', '2027-01-03T03:00:00Z', '2027-01-04T03:00:00Z'];
  const snapshots = days.map((at, n) => snapshot(`${n}`, at));
  const now = new Date('2027-01-05T00:00:00Z');
  assert.deepEqual(ids(planPrune(request(snapshots, { weekly: 9 }, { now }))), ['3', '2']);
});

test('an unverified snapshot takes no bucket from a verified one, and is kept as if it counted', () => {
  const snapshots = [snapshot('good', '2026-11-20T02:00:00Z'), snapshot('unknown', '2026-11-20T03:00:00Z')];
  snapshots.push(snapshot('newest', '2026-11-21T02:00:00Z'));
  const plan = planPrune(request(snapshots, { daily: 2 }, { verified: new Set(['good', 'newest']) }));
  assert.deepEqual(ids(plan), ['newest', 'unknown', 'good']);
  assert.deepEqual(plan.keep[1]?.reasons, ['daily, were it verified']);
});

test('marks that were lost cost no history', () => {
  const plan = planPrune(request(nights(40), { daily: 7, monthly: 2 }, { verified: new Set(['n0']) }));
  assert.deepEqual(ids(plan), ['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6', 'n21']);
});

test('where nothing is verified, nothing goes', () => {
  const plan = planPrune(request(nights(9), { last: 1 }, { verified: new Set() }));
  assert.deepEqual(plan.remove, []);
});

test('incomplete, safety and rolled-back ones are kept for 7 days, and while they are newer than the newest verified', () => {
  const others = (at: string) => [
    snapshot(`i${at}`, at, { complete: false }),
    snapshot(`s${at}`, at, { kind: 'safety' }),
    snapshot(`r${at}`, at, { kind: 'rolled-back' }),
  ];
  const week = others('2026-11-15T02:00:00Z');
  const old = others('2026-11-13T02:00:00Z');
  const verified = (id: string, at: string) =>
    planPrune(request([...week, ...old, snapshot(id, at)], { last: 1 }, { verified: new Set([id]) }));
  assert.deepEqual(new Set(verified('new', '2026-11-20T02:00:00Z').remove), new Set(old.map((s) => s.id)));
  assert.deepEqual(verified('older', '2026-11-01T02:00:00Z').remove, []);
});

test('a verified safety snapshot fills no bucket', () => {
  const snapshots = [
    snapshot('old', '2026-11-01T02:00:00Z'),
    snapshot('s', '2026-11-20T02:00:00Z', { kind: 'safety' }),
  ];
  assert.deepEqual(planPrune(request(snapshots, { last: 1 })).remove, []);
});

test('the newest proven one stays although no bucket wants it', () => {
  const plan = planPrune(request(nights(9), { last: 1 }, { proven: new Set(['n7', 'n8']) }));
  assert.deepEqual(ids(plan), ['n0', 'n7']);
  assert.deepEqual(plan.keep[1]?.reasons, ['newest proven']);
});

const closed: [string, Partial<PruneRequest>, string][] = [
  ['verify', { gates: { verifyFailed: true, clockOffMs: 0 } }, 'the verification of this run failed'],
  ['clock', { gates: { verifyFailed: false, clockOffMs: -301_000 } }, "this host's clock is 5m1s off Temporal's"],
  [
    'clock',
    { gates: { verifyFailed: false, clockOffMs: Number.NaN } },
    "this host's clock is an unknown time off Temporal's",
  ],
  ['future', { now: new Date('2026-11-21T01:54:00Z') }, 'a snapshot lies 6m in the future'],
  ['shrunk', source(100, 69, 100, 100), 'the source lost 31 % of its files'],
  ['shrunk', source(100, 100, 1000, 0), 'the source lost 100 % of its bytes'],
  ['most', { allow: ['shrunk'] }, '6 of 9 snapshots would go'],
];

function source(files: number, filesNow: number, bytes: number, bytesNow: number): Partial<PruneRequest> {
  const sizes = { before: { files, bytes }, now: { files: filesNow, bytes: bytesNow } };
  return { gates: { verifyFailed: false, clockOffMs: 0, source: sizes } };
}

for (const [gate, more, what] of closed)
  test(`gate ${gate}: ${what}`, () => {
    const plan = planPrune(request(nights(9), { last: 3 }, more));
    assert.deepEqual(plan.remove, []);
    assert.equal(plan.keep.length, 9);
    assert.deepEqual(plan.refused, { gate, what, would: ['n8', 'n7', 'n6', 'n5', 'n4', 'n3'] });
  });

test('just inside the gates it goes ahead', () => {
  const gates = { verifyFailed: false, clockOffMs: 300_000, source: source(100, 70, 10, 7).gates?.source };
  assert.equal(planPrune(request(nights(8), { last: 4 }, { gates, allow: [] })).remove.length, 4);
  const now = new Date('2026-11-21T01:56:00Z');
  assert.equal(planPrune(request(nights(8), { last: 4 }, { now })).remove.length, 4);
});

test('two gates open by hand, the others never', () => {
  const allow = ['shrunk', 'most'] as const;
  assert.equal(planPrune(request(nights(9), { last: 3 }, { ...source(9, 0, 9, 0), allow })).remove.length, 6);
  const gates = { verifyFailed: true, clockOffMs: 0 };
  assert.equal(planPrune(request(nights(9), { last: 3 }, { gates, allow })).refused?.gate, 'verify');
});

// ── properties ──────────────────────────────────────────────────────────────────────────────────────────────────────

const count = fc.option(fc.integer({ min: 1, max: 12 }), { nil: undefined });
const anyKeep: fc.Arbitrary<Keep> = fc.record({
  last: count,
  hourly: count,
  daily: count,
  weekly: count,
  monthly: count,
  yearly: count,
});
const start = Date.parse('2024-01-01T00:00:00Z');
const anySnapshots = fc
  .array(
    fc.record({
      at: fc.integer({ min: start, max: NOW.getTime() }),
      kind: fc.constantFrom('regular', 'regular', 'regular', 'safety', 'rolled-back'),
      complete: fc.integer({ min: 0, max: 5 }).map((n) => n > 0),
      mark: fc.constantFrom('none', 'verified', 'verified', 'proven'),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((all) => ({
    snapshots: all.map(({ at, kind, complete }, n) =>
      snapshot(`x${n}`, at, { kind: kind as Snapshot['kind'], complete }),
    ),
    verified: new Set(all.flatMap(({ mark }, n) => (mark === 'verified' ? [`x${n}`] : []))),
    proven: new Set(all.flatMap(({ mark }, n) => (mark === 'proven' ? [`x${n}`] : []))),
  }));
const anyZone = fc.constantFrom(ZURICH, 'UTC', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe');

type World = { snapshots: Snapshot[]; verified: Set<string>; proven: Set<string> };
const newest = (world: World, marked: (s: Snapshot) => boolean) =>
  world.snapshots
    .filter((s) => s.kind === 'regular' && s.complete && marked(s))
    .reduce((max, s) => Math.max(max, Date.parse(s.capturedAt)), -Infinity);
const check = (property: fc.IPropertyWithHooks<[World, Keep, string]>) => fc.assert(property, { numRuns: 300 });

test('property: each snapshot is either kept with a reason or removed, and something always stays', () =>
  check(
    fc.property(anySnapshots, anyKeep, anyZone, (world, keep, timezone) => {
      const plan = planPrune(request(world.snapshots, keep, { ...world, timezone }));
      assert.deepEqual([...ids(plan), ...plan.remove].sort(), world.snapshots.map((s) => s.id).sort());
      assert.ok(plan.keep.every((k) => k.reasons.length > 0));
      assert.ok(plan.keep.length > 0);
    }),
  ));

test('property: the newest verified, the newest proven and all that is newer stay', () =>
  check(
    fc.property(anySnapshots, anyKeep, anyZone, (world, keep, timezone) => {
      const kept = new Set(ids(planPrune(request(world.snapshots, keep, { ...world, timezone }))));
      const marked = (s: Snapshot) => world.verified.has(s.id) || world.proven.has(s.id);
      const verifiedAt = newest(world, marked);
      const provenAt = newest(world, (s) => world.proven.has(s.id));
      for (const s of world.snapshots) if (Date.parse(s.capturedAt) > verifiedAt) assert.ok(kept.has(s.id));
      for (const at of [verifiedAt, provenAt])
        if (at > -Infinity) assert.ok(world.snapshots.some((s) => Date.parse(s.capturedAt) === at && kept.has(s.id)));
    }),
  ));

test('property: pruning again removes nothing', () =>
  check(
    fc.property(anySnapshots, anyKeep, anyZone, (world, keep, timezone) => {
      const kept = new Set(ids(planPrune(request(world.snapshots, keep, { ...world, timezone }))));
      const left = world.snapshots.filter((s) => kept.has(s.id));
      assert.deepEqual(planPrune(request(left, keep, { ...world, timezone, snapshots: left })).remove, []);
    }),
  ));

test('property: to keep more of anything keeps at least as much', () =>
  fc.assert(
    fc.property(anySnapshots, anyKeep, anyKeep, anyZone, (world, keep, extra, timezone) => {
      const more = Object.fromEntries(
        Object.entries(keep).map(([rule, n]) => [
          rule,
          n === undefined ? undefined : n + (extra[rule as keyof Keep] ?? 0),
        ]),
      ) as Keep;
      const kept = ids(planPrune(request(world.snapshots, keep, { ...world, timezone })));
      const keptMore = new Set(ids(planPrune(request(world.snapshots, more, { ...world, timezone }))));
      assert.deepEqual(
        kept.filter((id) => !keptMore.has(id)),
        [],
      );
    }),
    { numRuns: 300 },
  ));

test('property: what is verified stays whatever unverified, incomplete or safety ones lie beside it', () =>
  check(
    fc.property(anySnapshots, anyKeep, anyZone, (world, keep, timezone) => {
      const good = world.snapshots.filter(
        (s) => s.kind === 'regular' && s.complete && (world.verified.has(s.id) || world.proven.has(s.id)),
      );
      const alone = ids(planPrune(request(good, keep, { ...world, timezone, snapshots: good })));
      const among = new Set(ids(planPrune(request(world.snapshots, keep, { ...world, timezone }))));
      assert.deepEqual(
        alone.filter((id) => !among.has(id)),
        [],
      );
    }),
  ));

test("nothing younger than its application's own least age goes, whatever keep says, and of no kind", () => {
  const week = 7 * DAY;
  const at = (days: number, more: Partial<Snapshot> = {}) =>
    snapshot(`d${days}${more.kind ?? ''}`, NOW.getTime() - days * DAY, more);
  const snapshots = [
    at(0.1),
    at(1),
    at(3),
    at(6.9),
    at(6.5, { kind: 'safety' }),
    at(7.1),
    at(7.2, { kind: 'safety' }),
    at(9),
  ];
  const plan = planPrune(request(snapshots, { last: 1 }, { keepAtLeastMs: week }));
  assert.deepEqual(plan.remove.sort(), ['d7.1', 'd7.2safety', 'd9']);
  assert.deepEqual(plan.keep.find(({ id }) => id === 'd3')?.reasons, ['younger than 7d, as its application asks for']);
  assert.equal(
    planPrune(request(snapshots, { last: 1 })).keep.length,
    2,
    'without it, the newest and the young safety one',
  );
  // Taken long ago and stored only now (a repository that was away): the week counts from when it was stored.
  const late = at(20, { storedAt: new Date(NOW.getTime() - DAY).toISOString() });
  assert.ok(!planPrune(request([...snapshots, late], { last: 1 }, { keepAtLeastMs: week })).remove.includes('d20'));
});
