import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SiteFacts } from '../../../src/client/status-facts.js';
import { statusExit, statusModel } from '../../../src/client/status-model.js';
import { renderStatus } from '../../../src/client/status-render.js';
import { aBackup, aProof, NOW } from './support/reports.js';

const screen = (facts: SiteFacts[], temporalAway?: string) => {
  const model = statusModel(facts, { now: NOW, ...(temporalAway ? { temporalAway } : {}) });
  return { lines: renderStatus(model, { now: NOW, timezone: 'Europe/Zurich' }), exit: statusExit(model), model };
};

const NIGHTLY = { line: '0 3 * * *', timezone: 'Europe/Zurich' };
const SCHEDULED = { cron: NIGHTLY, schedule: { next: '2026-11-22T02:00:00Z', paused: false } };
const NAS = { name: 'nas', offsite: false };
const OFFSITE = { name: 'offsite', offsite: true };
const DENIED = {
  step: 'store',
  repository: 'offsite',
  type: 'RepositoryDenied',
  message: 'store on local: 403; correct the credentials',
};

function site(name: string, more: Partial<SiteFacts> = {}): SiteFacts {
  return {
    site: name,
    app: 'generic',
    repositories: [NAS],
    objectives: {},
    running: [],
    ...SCHEDULED,
    state: { reports: [aBackup(name, '2026-11-21T02:00:00Z')], proofs: [], unreadable: [], aside: [] },
    ...more,
  };
}

function stoppedSince(downAt: string, objectives: SiteFacts['objectives'] = {}): SiteFacts {
  const facts = site('a', {
    objectives,
    running: [{ id: 'backup-a-x', workflow: 'backup', startedAt: '2026-11-21T08:25:00Z' }],
  });
  if (facts.state) facts.state.record = { phase: 'stopped', downAt, holder: 'backup-a-x' };
  return facts;
}

const cms = site('cms', {
  app: 'videocms',
  repositories: [NAS, OFFSITE],
  objectives: { maxAgeMs: 26 * 3600_000, maxDowntimeMs: 30_000, maxProofAgeMs: 35 * 86_400_000 },
  state: {
    reports: [
      aBackup('cms', '2026-11-18T02:00:00Z', { repositories: ['nas', 'offsite'] }),
      ...['19', '20', '21'].map((day) =>
        aBackup('cms', `2026-11-${day}T02:00:00Z`, { outcome: 'partial', failure: DENIED, downtimeMs: 1340 }),
      ),
    ],
    proofs: [aProof('cms', '2026-11-09T04:00:00Z', { sample: '1/12', rtoSeconds: 130 })],
    unreadable: [],
    aside: [],
  },
});

test('says when no copy leaves the machine, and nothing where one does or somebody said so', () => {
  const told = (repositories: SiteFacts['repositories'], reports = [aBackup('a', '2026-11-21T02:00:00Z')]) =>
    screen([site('a', { repositories, state: { reports, proofs: [], unreadable: [], aside: [] } })]);
  const alone = told([{ name: 'nas', offsite: false, local: true }]);
  assert.match(alone.lines.at(-1) ?? '', /^ {2}a +no copy leaves this machine; add a repository elsewhere/);
  assert.equal(alone.exit, 0);
  const cloud = { name: 'cloud', offsite: false, local: false };
  const both = [aBackup('a', '2026-11-21T02:00:00Z', { repositories: ['nas', 'cloud'] })];
  const nas = { name: 'nas', offsite: false, local: true };
  for (const { lines } of [told([{ ...nas, offsite: true }]), told([nas, cloud], both)])
    assert.doesNotMatch(lines.join(), /no copy leaves/);
  assert.match(told([nas, { ...cloud, offsite: true }]).lines.join(), /no copy leaves/, 'the other one is empty yet');
});

test('an application that waits for its database server says what it waits for, since when, and what to do', () => {
  const why = 'shop could not be put back, and nothing is started without it; look whether its server runs';
  const failed = { at: '2026-11-21T08:26:00Z', said: `watchdog on local: ${why}; the watchdog goes on trying` };
  const record = { phase: 'revoked', downAt: '2026-11-21T08:20:48Z', revokedFor: 'its worker (pid 7) is gone', failed };
  const { lines, exit } = screen([
    site('a', { state: { reports: [], proofs: [], unreadable: [], aside: [], record } }),
  ]);
  assert.equal(exit, 6);
  const line = `x a     down since 2026-11-21T08:20:48Z: ${failed.said}; tried last at 2026-11-21T08:26:00Z`;
  assert.ok(lines.includes(line), lines.join('\n'));
});

test('the screen: the worst first, a line for each reason with what to type next', () => {
  const files = site('files', {
    app: 'seafile',
    state: {
      reports: [aBackup('files', '2026-11-21T02:00:00Z', { downtimeMs: 4200 })],
      proofs: [aProof('files', '2026-11-12T04:00:00Z', { sample: '1/1', rtoSeconds: 840 })],
      record: { phase: 'revoked', downAt: '2026-11-21T08:20:48Z', revokedFor: 'start failed 14x: image not found' },
      unreadable: [],
      aside: [],
    },
  });
  const {
    cron: _,
    schedule: __,
    ...never
  } = site('wiki', { state: { reports: [], proofs: [], unreadable: [], aside: [] } });
  const { lines, exit } = screen([site('panel', { repositories: [NAS] }), cms, never, files]);
  assert.deepEqual(lines, [
    'holdfast status   2026-11-21 09:27 CET   4 sites: 1 safe, 1 at risk, 1 DOWN, 1 not scheduled',
    '  SITE   APP       NOW         DATA FROM  COPIES               PROOF                DOWNTIME    NEXT',
    'x files  seafile   DOWN 6m12s  03:00  6h  nas                  9d full, RTO 14m     4.2s        03:00',
    '! cms    videocms  up          03:00  6h  nas; offsite 3d old  12d 1/12, RTO 2m10s  1.3s (30s)  03:00',
    '  panel  generic   up          03:00  6h  nas                  –                    –           03:00',
    '? wiki   generic   up          never      –                    –                    –           NO SCHEDULE',
    'x files  start failed 14x: image not found; fix it, then: holdfast release files',
    '! cms    offsite: 3 backups missing (store on local: 403; correct the credentials); then: holdfast backup cms --repository offsite',
    '? wiki   never backed up; holdfast backup wiki',
  ]);
  assert.equal(exit, 6);
});

const verdicts: [string, SiteFacts, string | undefined, string, number, RegExp | undefined][] = [
  ['all well', site('a'), undefined, 'safe', 0, undefined],
  ['Temporal away is never 0', site('a'), 'ECONNREFUSED', 'safe', 7, undefined],
  ['a failed copy', cms, undefined, 'at risk', 1, /offsite: 3 backups missing/],
  [
    'older than the schedule allows',
    site('a', { state: { reports: [aBackup('a', '2026-11-19T02:00:00Z')], proofs: [], unreadable: [], aside: [] } }),
    undefined,
    'at risk',
    1,
    /data is 2d old, at most 30h was asked for; holdfast backup a/,
  ],
  [
    'older than asked',
    site('a', { objectives: { maxAgeMs: 3600_000 } }),
    undefined,
    'at risk',
    1,
    /data is 6h old, at most 60m|at most 1h/,
  ],
  [
    'the last one failed',
    site('a', {
      state: {
        reports: [
          aBackup('a', '2026-11-20T02:00:00Z'),
          aBackup('a', '2026-11-21T02:00:00Z', {
            outcome: 'failed',
            failure: { ...DENIED, type: 'NoSpace', message: 'prepare on local: no space; free some' },
          }),
        ],
        proofs: [],
        unreadable: [],
        aside: [],
      },
    }),
    undefined,
    'at risk',
    1,
    /at most 30h was asked for: prepare on local: no space/,
  ],
  [
    'a failed proof',
    site('a', {
      state: {
        reports: [aBackup('a', '2026-11-21T02:00:00Z')],
        proofs: [aProof('a', '2026-11-20T04:00:00Z', { outcome: 'failed' })],
        unreadable: [],
        aside: [],
      },
    }),
    undefined,
    'at risk',
    1,
    /restore test failed/,
  ],
  [
    'never proven where it was asked for',
    site('a', { objectives: { maxProofAgeMs: 1 } }),
    undefined,
    'at risk',
    1,
    /never proven/,
  ],
  [
    'too long down',
    site('a', {
      objectives: { maxDowntimeMs: 1000 },
      state: {
        reports: [aBackup('a', '2026-11-21T02:00:00Z', { downtimeMs: 5000 })],
        proofs: [],
        unreadable: [],
        aside: [],
      },
    }),
    undefined,
    'at risk',
    1,
    /kept it down for 5.00 s, at most 1s/,
  ],
  [
    'paused',
    site('a', { schedule: { paused: true, note: 'holiday' } }),
    undefined,
    'at risk',
    1,
    /paused \(holiday\); holdfast schedule resume holdfast-backup-a/,
  ],
  [
    'a schedule that was never applied',
    site('a', { schedule: undefined as never }),
    undefined,
    'at risk',
    1,
    /holdfast schedule apply/,
  ],
  [
    'a restore that waits',
    site('a', {
      running: [{ id: 'restore-a-x', workflow: 'restore', startedAt: '2026-11-21T08:00:00Z', waitsFor: 'approval' }],
    }),
    undefined,
    'at risk',
    1,
    /holdfast approve restore-a-x/,
  ],
  [
    'nobody could be asked',
    { ...site('a@web1'), state: undefined as never },
    'ECONNREFUSED',
    'cannot tell',
    7,
    /its host keeps the reports/,
  ],
  [
    'a report that cannot be read',
    site('a', {
      state: { reports: [aBackup('a', '2026-11-21T02:00:00Z')], proofs: [], unreadable: ['/x/y.json'], aside: [] },
    }),
    undefined,
    'cannot tell',
    7,
    /\/x\/y.json cannot be read/,
  ],
  [
    'stopped by its own backup, just now',
    stoppedSince('2026-11-21T08:26:58Z'),
    undefined,
    'safe',
    0,
    /a +generic +stopped 2/,
  ],
  [
    'stopped by its own backup, longer than a minute',
    stoppedSince('2026-11-21T08:25:50Z'),
    undefined,
    'down',
    6,
    /backup-a-x holds it down/,
  ],
  [
    'stopped by its own backup, longer than its objective',
    stoppedSince('2026-11-21T08:26:50Z', { maxDowntimeMs: 5_000 }),
    undefined,
    'down',
    6,
    /backup-a-x holds it down/,
  ],
  [
    'a state that was put aside is shown',
    site('a', {
      state: {
        reports: [aBackup('a', '2026-11-21T02:00:00Z')],
        proofs: [],
        unreadable: [],
        aside: [{ at: '2026-11-20T10:00:00Z', path: '/srv/a.before' }],
      },
    }),
    undefined,
    'safe',
    0,
    /kept at \/srv\/a.before/,
  ],
];
for (const [name, facts, away, state, code, line] of verdicts) {
  test(`${name}: ${state}, exit ${code}`, () => {
    const { lines, exit, model } = screen([facts], away);
    assert.equal(model.sites[0]?.state, state, lines.join('\n'));
    assert.equal(exit, code);
    if (line) assert.match(lines.join('\n'), line);
    else assert.deepEqual(model.sites[0]?.concerns, []);
  });
}

test('a later verify raises the level, and a stored copy says that it is not verified', () => {
  const backup = aBackup('a', '2026-11-21T02:00:00Z', { level: 'stored' });
  const facts = (reports: SiteFacts['state']) => site('a', { state: reports as never });
  assert.match(
    screen([facts({ reports: [backup], proofs: [], unreadable: [], aside: [] })]).lines.join('\n'),
    /nas: stored, not verified/,
  );
  const verify = {
    ...backup,
    runId: 'v',
    workflow: 'verify',
    repositories: backup.repositories.map((entry) => ({ ...entry, level: 'verified' as const })),
  };
  const { model } = screen([facts({ reports: [backup, verify], proofs: [], unreadable: [], aside: [] })]);
  assert.equal(model.sites[0]?.copies[0]?.level, 'verified');
});
