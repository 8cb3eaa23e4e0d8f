import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { WorkflowFailedError, type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { failure } from '../../src/core/failures.js';
import type { Progress, Report } from '../../src/core/report.js';
import { mockSteps, said, snapshot } from '../support/mock-steps.js';
import { skipWithoutServer, type WorkflowLab, workflowLab } from '../support/workflow-env.js';

let lab: WorkflowLab | undefined;
before(async () => {
  lab = await workflowLab();
});
after(() => lab?.end());

const SNAPSHOT = 'abcdef0123456789';

async function reportOf(handle: WorkflowHandle): Promise<Report> {
  await handle.result().catch((error) => assert.ok(error instanceof WorkflowFailedError));
  return handle.query<Report>('report');
}

async function waiting(handle: WorkflowHandle): Promise<Progress> {
  for (;;) {
    const progress = await handle.query<Progress>('progress').catch(() => undefined);
    if (progress?.waitsFor) return progress;
    await new Promise((r) => setTimeout(r, 30));
  }
}

test('a restore in place waits for a person, refuses another approval, then stops, swaps and starts', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  const report = await lab.run('restore', { site: 'cms' }, steps, async (handle) => {
    const { waitsFor } = await waiting(handle);
    assert.match(waitsFor ?? '', new RegExp(`approval of the restore of cms from ${SNAPSHOT.slice(0, 8)}`));
    assert.deepEqual(calls, ['prepare', 'fetch']);
    for (const wrong of [
      { site: 'other', snapshot: SNAPSHOT },
      { site: 'cms', snapshot: 'latest' },
      { site: 'cms' },
      undefined,
    ]) {
      await assert.rejects(handle.executeUpdate('approve', { args: [wrong] }), WorkflowUpdateFailedError);
    }
    await handle.executeUpdate('approve', { args: [{ site: 'cms', snapshot: SNAPSHOT, by: 'ann' }] });
    return reportOf(handle);
  });
  assert.equal(report.outcome, 'completed');
  assert.ok(report.notes.includes('approved by ann'));
  assert.ok(report.notes.includes('now → then: files: 3 → 4 files'));
  assert.deepEqual(calls, ['prepare', 'fetch', 'stop', 'swap', 'start', 'finish']);
});

test('a restore that leaves a database to be imported by hand is partial, and names it', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({ swap: async () => ({ ...said('swap'), byHand: ['ledger'] }) });
  const report = await lab.run('restore', { site: 'cms' }, steps, async (handle) => {
    await waiting(handle);
    await handle.executeUpdate('approve', { args: [{ site: 'cms', snapshot: SNAPSHOT }] });
    return reportOf(handle);
  });
  assert.equal(report.outcome, 'partial');
  assert.match(report.said, /^PARTIAL: cms is back as of .*, but ledger is as before until a person has imported/);
});

test('databases of another snapshot are asked for by name, and whoever approves is told', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const older = { ...snapshot(), id: 'f'.repeat(64), capturedAt: '2026-11-14T03:00:00.000Z' };
  const asked: unknown[] = [];
  const good = mockSteps().steps;
  const { steps } = mockSteps({
    fetch: async (input, ...more) => {
      asked.push(input.databaseSnapshot);
      return { ...(await good.fetch(input, ...more)), databaseSnapshot: older };
    },
  });
  const report = await lab.run('restore', { site: 'cms', databaseSnapshot: 'ffffffff' }, steps, async (handle) => {
    assert.match((await waiting(handle)).waitsFor ?? '', /its databases as of 2026-11-14T03:00:00.000Z \(ffffffff\)$/);
    await handle.executeUpdate('approve', { args: [{ site: 'cms', snapshot: SNAPSHOT }] });
    return reportOf(handle);
  });
  assert.deepEqual(asked, ['ffffffff']);
  assert.match(report.said, /cms is back as of 2026-11-21T03:00:00.000Z, its databases as of 2026-11-14/);
});

test('nobody approves for a week: nothing is stopped and the run fails', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  const report = await lab.run('restore', { site: 'cms' }, steps, reportOf);
  assert.equal(report.failures[0]?.type, 'NotApproved');
  assert.deepEqual(calls, ['prepare', 'fetch', 'finish']);
});

test("the input's own approval counts only where the config allows it", async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const input = { site: 'cms', approve: { site: 'cms', snapshot: 'latest' } };
  const allowed = mockSteps({}, { approval: 'input' });
  assert.equal((await lab.run('restore', input, allowed.steps, reportOf)).outcome, 'completed');
  const refused = mockSteps({}, { approval: 'required' });
  assert.equal((await lab.run('restore', input, refused.steps, reportOf)).failures[0]?.type, 'NotApproved');
  const other = mockSteps({}, { approval: 'input' });
  const wrong = { site: 'cms', approve: { site: 'files', snapshot: 'latest' } };
  assert.equal((await lab.run('restore', wrong, other.steps, reportOf)).failures[0]?.type, 'NotApproved');
});

test('a restore that is cancelled while it waits for a person waits for nobody any more', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  const { outcome, waitsFor, approve } = await lab.run('restore', { site: 'cms' }, steps, async (handle) => {
    const asked = await waiting(handle);
    assert.ok(asked.approve && SNAPSHOT.startsWith(asked.approve));
    await handle.cancel();
    await assert.rejects(handle.result());
    return handle.query<Progress>('progress');
  });
  assert.deepEqual({ outcome, waitsFor, approve }, { outcome: 'cancelled', waitsFor: undefined, approve: undefined });
  assert.ok(!calls.includes('stop'));
});

test('a restore into a directory stops nothing', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  assert.equal((await lab.run('restore', { site: 'cms', target: 'look' }, steps, reportOf)).outcome, 'completed');
  assert.deepEqual(calls, ['prepare', 'fetch', 'finish']);
});

test('a swap that fails is rolled back by the start that follows', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const rollBacks: (boolean | undefined)[] = [];
  const { steps } = mockSteps(
    {
      swap: async () => {
        throw failure('RestoreRefused', { step: 'swap', host: 'local', what: 'made to fail' });
      },
      start: async ({ rollBack }) => {
        rollBacks.push(rollBack);
        return { ...said('start'), up: true, rolledBack: true, downtimeMs: 1, sections: 1 };
      },
    },
    { approval: 'input' },
  );
  const report = await lab.run(
    'restore',
    { site: 'cms', approve: { site: 'cms', snapshot: 'latest' } },
    steps,
    reportOf,
  );
  assert.equal(report.failures[0]?.type, 'RestoreRefused');
  assert.deepEqual(rollBacks, [true]);
});

test('an application that does not come up with the restored state gets the state from before back', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps(
    {
      start: async ({ rollBack }) => ({
        ...said('start'),
        up: rollBack === true,
        rolledBack: rollBack === true,
        downtimeMs: 1,
        sections: 1,
      }),
    },
    { approval: 'input' },
  );
  const report = await lab.run(
    'restore',
    { site: 'cms', approve: { site: 'cms', snapshot: 'latest' } },
    steps,
    reportOf,
  );
  assert.equal(report.outcome, 'failed');
  assert.equal(report.failures[0]?.type, 'RestoreFailed');
});

test('a restore that somebody else rolled back while it waited for the application is not told as done', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  let starts = 0;
  const { steps } = mockSteps(
    {
      start: async () => {
        const up = ++starts > 1;
        return { ...said('start'), up, rolledBack: up, downtimeMs: 1, sections: 1 };
      },
    },
    { approval: 'input' },
  );
  const input = { site: 'cms', approve: { site: 'cms', snapshot: 'latest' } };
  const report = await lab.run('restore', input, steps, reportOf);
  assert.equal(starts, 2);
  assert.equal(report.failures[0]?.type, 'RestoreFailed');
});

test('the state from before is asked for before the limit of the start ends the run', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const rollBacks: (boolean | undefined)[] = [];
  const { steps } = mockSteps(
    {
      start: async ({ rollBack }) => {
        rollBacks.push(rollBack);
        return { ...said('start'), up: false, rolledBack: false, downtimeMs: 1, sections: 1 };
      },
    },
    { approval: 'input', limits: { startMs: 30_000, storeMs: 60_000 } },
  );
  const input = { site: 'cms', approve: { site: 'cms', snapshot: 'latest' } };
  const report = await lab.run('restore', input, steps, reportOf);
  assert.ok(rollBacks.includes(true));
  assert.ok(report.failures.some(({ type }) => type === 'ApplicationDown'));
});
