import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { failure } from '../../src/core/failures.js';
import type { Report } from '../../src/core/report.js';
import { mockSteps, said, snapshot } from '../support/mock-steps.js';
import { skipWithoutServer, type WorkflowLab, workflowLab } from '../support/workflow-env.js';

let lab: WorkflowLab | undefined;
before(async () => {
  lab = await workflowLab();
});
after(() => lab?.end());

async function reportOf(handle: WorkflowHandle): Promise<Report> {
  await handle.result().catch((error) => assert.ok(error instanceof WorkflowFailedError));
  return handle.query<Report>('report');
}

test('a restore test whose checks pass writes a proof; one bad check makes it fail and names the place', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const good = await lab.run('restoreTest', { site: 'cms' }, mockSteps({}, { boots: true }).steps, reportOf);
  assert.equal(good.outcome, 'completed');
  assert.equal(good.proof?.outcome, 'proven');
  assert.equal(good.proof?.checks.length, 2, 'the checks, and the boot');
  const bad = mockSteps(
    {
      prove: async () => ({
        ...said('prove'),
        checks: [{ name: 'segments', ok: false, evidence: '1 of 9 is gone', places: ['a/out0.ts'] }],
        sample: '1/12',
      }),
    },
    { boots: true },
  );
  const report = await lab.run('restoreTest', { site: 'cms' }, bad.steps, reportOf);
  assert.equal(report.outcome, 'failed');
  assert.equal(report.proof?.outcome, 'failed');
  assert.match(report.failures[0]?.message ?? '', /segments: 1 of 9 is gone \(a\/out0\.ts\)/);
  assert.equal(bad.calls.filter((name) => name === 'prove').length, 1, 'what failed its checks is not booted');
});

test('a restore test that was reset after its fetch fetches again, and no more than once', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const gone = { ...said('prove'), checks: [], sample: '', gone: true as const };
  const checks = [{ name: 'segments', ok: true, evidence: '9 are there' }];
  let asked = 0;
  const once = mockSteps({
    prove: async () => (asked++ === 0 ? gone : { ...said('prove'), checks, sample: '1/12' }),
  });
  const report = await lab.run('restoreTest', { site: 'cms' }, once.steps, reportOf);
  assert.equal(report.outcome, 'completed');
  assert.deepEqual(
    once.calls.filter((name) => name === 'fetch' || name === 'prove'),
    ['fetch', 'prove', 'fetch', 'prove'],
  );
  const never = await lab.run('restoreTest', { site: 'cms' }, mockSteps({ prove: async () => gone }).steps, reportOf);
  assert.deepEqual(
    never.failures.map(({ type }) => type),
    ['RestoreFailed'],
  );
});

test('verify goes through all repositories and is partial where one fails', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const repositories = ['nas', 'offsite'].map((name) => ({ name, engine: 'archive', offsite: false, prunes: '' }));
  const { steps } = mockSteps(
    {
      verify: async ({ repository }) => {
        if (repository === 'offsite')
          throw failure('RepositoryDamaged', { step: 'verify', host: 'local', what: 'one pack is bad' });
        return { ...said('verify'), snapshot: snapshot(repository), level: 'verified' };
      },
    },
    { repositories },
  );
  const report = await lab.run('verify', { site: 'cms' }, steps, reportOf);
  assert.equal(report.outcome, 'partial');
  assert.equal(report.repositories[0]?.level, 'verified');
  assert.equal(report.repositories[1]?.failure?.type, 'RepositoryDamaged');
});

test('damage of the live site fails a verify that found the repositories good, and says so', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const damage = 'verify on local: 1 objects of the live site are damaged or missing: ab; run `holdfast repair cms`';
  const { steps } = mockSteps({
    verify: async ({ repository }) => ({
      ...said('verify'),
      ...{ snapshot: snapshot(repository), level: 'verified', read: 'share 5 of 12 read', damage },
    }),
  });
  const report = await lab.run('verify', { site: 'cms' }, steps, reportOf);
  assert.equal(report.outcome, 'failed');
  assert.equal(report.said, `THE LIVE SITE IS DAMAGED, what is stored is good: ${damage}`);
  const [entry] = report.repositories;
  assert.deepEqual([entry?.level, entry?.read, entry?.failure], ['verified', 'share 5 of 12 read', undefined]);
});

test('prune says what it did in each repository and which gate stayed closed', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({
    prune: async () => ({ ...said('prune'), removed: 0, kept: 9, refused: 'the source shrank' }),
  });
  const report = await lab.run('prune', { site: 'cms', dryRun: true }, steps, reportOf);
  assert.equal(report.outcome, 'completed');
  assert.deepEqual(report.notes, ['nas: the source shrank']);
});

test('watch answers with what is overdue', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({ watch: async () => ({ ...said('watch', { said: 'late' }), overdue: ['late'] }) });
  const result = await lab.run('watch', { site: 'cms' }, steps, (handle) => handle.result());
  assert.deepEqual(result, { said: 'late', overdue: ['late'] });
});
