import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderReport } from '../../../src/cli/render-report.js';
import { Report } from '../../../src/core/report.js';

const base = {
  ...{ said: 'x', schemaVersion: 1, workflowId: 'w', runId: 'r', site: 'cms', host: 'local' },
  startedAt: '2026-11-21T03:00:00Z',
};

test('a failed restore test names each check once; a verified copy says how much of it was read', () => {
  const evidence = '2 of 61 rows lack their file';
  const proof = {
    ...{
      schemaVersion: 1,
      site: 'cms',
      siteId: 'cms',
      host: 'local',
      repository: 'nas',
      snapshot: 's',
      captureId: 'c',
    },
    ...{ capturedAt: base.startedAt, provenAt: base.startedAt, outcome: 'failed', sample: '1/1', rtoSeconds: 1 },
    ...{ checks: [{ name: 'media', ok: false, evidence }], workflowId: 'w' },
  };
  const failures = [{ step: 'check', type: 'ProofFailed', message: `check on local: media: ${evidence}; back up` }];
  const failed = renderReport(Report.parse({ ...base, workflow: 'restoreTest', outcome: 'failed', proof, failures }));
  assert.equal(failed.filter((line) => line.includes(evidence)).length, 1, failed.join('\n'));
  const places = ['bucket/one', 'bucket/two'];
  const damaged = { step: 'fetch', type: 'RepositoryDamaged', message: 'an object is damaged: bucket/one', places };
  const told = renderReport(Report.parse({ ...base, workflow: 'verify', outcome: 'failed', failures: [damaged] }));
  assert.deepEqual(told.slice(1, 3), ['  x an object is damaged: bucket/one', '    bucket/two']);
  const entry = { repository: 'nas', engine: 'restic', level: 'verified', read: 'share 5 of 12 read' };
  const good = renderReport(Report.parse({ ...base, workflow: 'verify', outcome: 'completed', repositories: [entry] }));
  assert.ok(good.includes('  nas  verified (share 5 of 12 read)'), good.join('\n'));
});
