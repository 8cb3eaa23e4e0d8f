import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import type { Prepared } from '../../activities/api.js';
import { failure } from '../../src/core/failures.js';
import type { Progress, Report } from '../../src/core/report.js';
import { mockSteps, type Steps, said } from '../support/mock-steps.js';
import { skipWithoutServer, type WorkflowLab, workflowLab } from '../support/workflow-env.js';

let lab: WorkflowLab | undefined;
before(async () => {
  lab = await workflowLab();
});
after(() => lab?.end());

const INPUT = { site: 'cms', operation: 'update' };
const HELD: Partial<Prepared> = { operation: { writes: 'held' } };
const OPEN: Partial<Prepared> = { operation: { writes: 'open' } };

async function reportOf(handle: WorkflowHandle): Promise<Report> {
  await handle.result().catch((error) => assert.ok(error instanceof WorkflowFailedError));
  return handle.query<Report>('report');
}

async function waiting(handle: WorkflowHandle): Promise<Progress> {
  for (;;) {
    const progress = await handle.query<Progress>('progress').catch(() => undefined);
    if (progress?.waitsFor) return progress;
    await sleep(30);
  }
}

const decide = (action: string) => async (handle: WorkflowHandle) => {
  await waiting(handle);
  await handle.executeUpdate('decide', { args: [{ site: 'cms', action, by: 'ann' }] });
  return reportOf(handle);
};

/** Mocked steps with what `start` was asked for: a rollback, or not. */
function recorded(overrides: Partial<Steps>, prepared: Partial<Prepared>) {
  const rollBacks: boolean[] = [];
  const mocked = mockSteps(
    {
      start: async ({ rollBack }) => {
        rollBacks.push(rollBack === true);
        return { ...said('start'), up: true, rolledBack: rollBack === true, downtimeMs: 1340, sections: 1 };
      },
      ...overrides,
    },
    prepared,
  );
  return { ...mocked, rollBacks };
}

/** A check that passes before the operation and says this after it. */
function checkAfter(verdict: 'failed' | 'unclear'): Partial<Steps> {
  let asked = 0;
  return {
    examine: async () => ({
      ...said('examine', { said: `the check was ${verdict}` }),
      verdict: ++asked === 1 ? 'passed' : verdict,
    }),
  };
}

const ends = (verdict: 'failed' | 'unknown'): Partial<Steps> => ({
  operate: async () => ({ ...said('operate', { said: `update was ${verdict}` }), verdict }),
});

test('writes held: one section from the capture to the check, and a safety snapshot once the application is up', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls, rollBacks } = recorded({}, HELD);
  const report: Report = await lab.run('guardedChange', INPUT, steps, reportOf);
  assert.equal(report.outcome, 'completed', report.said);
  const section = ['stop', 'checkpoint', 'examine', 'dump', 'shelter', 'operate', 'examine', 'start'];
  assert.deepEqual(calls, ['prepare', ...section, 'store', 'finish']);
  assert.deepEqual(rollBacks, [false]);
  assert.deepEqual(
    { level: report.repositories[0]?.level, operation: report.operation, rolledBack: report.rolledBack },
    { level: 'stored', operation: 'update', rolledBack: undefined },
  );
});

test('a repository that is away takes nothing from a change that is made', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const store = async () => {
    throw failure('RepositoryDenied', { step: 'store', host: 'local', what: 'refused' });
  };
  const report: Report = await lab.run('guardedChange', INPUT, recorded({ store }, HELD).steps, reportOf);
  assert.equal(report.outcome, 'completed');
  assert.ok(report.notes.some((note) => note.startsWith('no safety snapshot: store on local: refused')));
});

test('a check that fails before the operation ends the run, and nothing was changed', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const [verdict, type] of [
    ['failed', 'CheckFailed'],
    ['unclear', 'CheckUnclear'],
  ] as const) {
    const { steps, calls } = recorded({ examine: async () => ({ ...said('examine'), verdict }) }, HELD);
    const report: Report = await lab.run('guardedChange', INPUT, steps, reportOf);
    assert.equal(report.failures[0]?.type, type);
    assert.equal(report.rolledBack, undefined);
    assert.ok(!calls.includes('operate') && calls.includes('start'));
  }
});

test('a run that was reset after its operation had begun says that nothing was done, and asks nobody', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const operate: Steps['operate'] = async () => ({
    ...said('operate', { said: 'update had begun before this run was reset' }),
    ...{ verdict: 'unknown', before: true },
  });
  for (const writes of [HELD, OPEN]) {
    const { steps, calls } = recorded({ operate }, writes);
    const report: Report = await lab.run('guardedChange', INPUT, steps, reportOf);
    assert.equal(report.outcome, 'failed');
    assert.match(report.said, /^NOT DONE: operate on local: update had begun before this run was reset/);
    assert.deepEqual([report.rolledBack, report.failures[0]?.type], [undefined, 'OperationUnknown']);
    assert.ok(!calls.includes('ask') && calls.includes('start'));
  }
});

test('writes held: an operation or a check that fails is rolled back by the start that follows', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const [overrides, type] of [
    [ends('failed'), 'OperationFailed'],
    [checkAfter('failed'), 'CheckFailed'],
  ] as const) {
    const { steps, calls, rollBacks } = recorded(overrides, HELD);
    const report: Report = await lab.run('guardedChange', INPUT, steps, reportOf);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.failures[0]?.type, type);
    assert.equal(report.rolledBack, true);
    assert.match(report.said, /^ROLLED BACK: .*; down 1\.34 s/);
    assert.deepEqual(rollBacks, [true]);
    assert.equal(calls.filter((name) => name === 'operate').length, 1);
    assert.ok(!calls.includes('store') && !calls.includes('ask'));
  }
});

test('writes held: an operation whose end nobody saw is rolled back, never run again, and asked about', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const lost: Partial<Steps> = {
    operate: async () => {
      throw failure('SectionRevoked', { step: 'operate', host: 'local', what: 'the watchdog ended it' });
    },
  };
  for (const overrides of [ends('unknown'), lost]) {
    const { steps, calls, rollBacks } = recorded(overrides, HELD);
    const report: Report = await lab.run('guardedChange', INPUT, steps, decide('rollBack'));
    assert.equal(report.outcome, 'failed');
    assert.match(report.said, /^ROLLED BACK by ann/);
    assert.deepEqual(rollBacks, [true]);
    for (const name of ['stop', 'operate', 'ask']) assert.equal(calls.filter((each) => each === name).length, 1, name);
    assert.ok(!calls.includes('turn'), 'the state from before runs already');
  }
});

test('a person may keep what an operation left, although it was rolled back: a section of its own brings it back', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const turns: string[] = [];
  const { steps, calls } = recorded(
    {
      ...ends('unknown'),
      turn: async ({ to }) => {
        turns.push(to);
        return said('turn');
      },
    },
    HELD,
  );
  const report: Report = await lab.run('guardedChange', INPUT, steps, decide('keep'));
  assert.equal(report.outcome, 'partial');
  assert.equal(report.rolledBack, false);
  assert.deepEqual(turns, ['after']);
  assert.deepEqual(calls.slice(calls.indexOf('ask')), ['ask', 'stop', 'turn', 'start', 'finish']);
});

test('writes held: a check that cannot look takes nothing back: the application comes up, and a person is asked', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, rollBacks, calls } = recorded(checkAfter('unclear'), HELD);
  const report: Report = await lab.run('guardedChange', INPUT, steps, decide('keep'));
  assert.equal(report.outcome, 'partial');
  assert.match(report.said, /kept by ann, although the check was unclear/);
  assert.deepEqual(rollBacks, [false]);
  assert.ok(!calls.includes('turn'));
});

test('writes held: an application that does not answer after the operation gets the state from before back', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const start: Steps['start'] = async ({ rollBack }) => {
    const back = rollBack === true;
    return { ...said('start'), up: back, rolledBack: back, downtimeMs: 1, sections: 1 };
  };
  const report: Report = await lab.run('guardedChange', INPUT, recorded({ start }, HELD).steps, reportOf);
  assert.equal(report.outcome, 'failed');
  assert.match(report.failures[0]?.message ?? '', /did not come up with what update left/);
  assert.equal(report.rolledBack, true);
});

test('a section that ends before the operation began is repeated with a capture of its own; one after it is not', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const captures: string[] = [];
  let left = 1;
  const { steps, calls } = recorded(
    {
      dump: async ({ captureId }) => {
        captures.push(captureId);
        if (left-- > 0) throw failure('SectionRevoked', { step: 'dump', host: 'local', what: 'revoked' });
        return { ...said('dump'), capturedAt: '2026-11-21T03:00:00.000Z' };
      },
    },
    HELD,
  );
  assert.equal((await lab.run('guardedChange', INPUT, steps, reportOf)).outcome, 'completed');
  assert.equal(new Set(captures).size, 2);
  assert.equal(calls.filter((name) => name === 'operate').length, 1);
  // Recovered by somebody else between the check and the start: done, checked, and taken back all the same.
  const recovered = recorded(
    { start: async () => ({ ...said('start'), up: true, rolledBack: true, downtimeMs: 1, sections: 1 }) },
    HELD,
  );
  await lab.run('guardedChange', INPUT, recovered.steps, decide('rollBack'));
  assert.equal(recovered.calls.filter((name) => name === 'operate').length, 1);
});

test('writes open: the application is up while the operation runs, and nothing is taken back without a person', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const overrides of [ends('failed'), checkAfter('unclear')]) {
    const { steps, calls, rollBacks } = recorded(overrides, OPEN);
    const report: Report = await lab.run('guardedChange', INPUT, steps, async (handle) => {
      const { waitsFor, decide: actions } = await waiting(handle);
      assert.match(waitsFor ?? '', /^a decision about update/);
      assert.deepEqual(actions, ['keep', 'rollBack']);
      assert.deepEqual(rollBacks, [false], 'only the section of the capture');
      return decide('rollBack')(handle);
    });
    assert.equal(report.outcome, 'failed');
    assert.equal(report.rolledBack, true);
    assert.ok(report.notes.includes('now → before: database: web_pages 4 → 3'));
    const began = ['prepare', 'examine', 'stop', 'checkpoint', 'dump', 'shelter', 'start', 'operate'];
    assert.deepEqual(calls.slice(0, began.length), began);
    assert.deepEqual(calls.slice(calls.indexOf('ask')), ['ask', 'stop', 'turn', 'start', 'finish']);
  }
});

test('a decision that could not be carried out is asked for again, and counts once', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  let turns = 0;
  const { steps, calls } = recorded(
    {
      ...ends('failed'),
      turn: async () => {
        if (turns++ === 0) throw failure('RestoreRefused', { step: 'turn', host: 'local', what: 'not by renames' });
        return said('turn');
      },
    },
    OPEN,
  );
  const report: Report = await lab.run('guardedChange', INPUT, steps, async (handle) => {
    const answer = () => handle.executeUpdate('decide', { args: [{ site: 'cms', action: 'rollBack' }] });
    await waiting(handle);
    await answer();
    while (turns === 0) await sleep(30);
    await waiting(handle);
    const both = await Promise.allSettled([answer(), answer()]);
    assert.ok(both.some(({ status }) => status === 'fulfilled'));
    return reportOf(handle);
  });
  assert.match(report.said, /^ROLLED BACK/);
  assert.ok(report.notes.some((note) => note.startsWith('could not be done: turn on local: not by renames')));
  assert.deepEqual([turns, calls.filter((name) => name === 'ask').length], [2, 2]);
});

test('a decision that does not fit is refused; without one for a week what runs stays and the run fails', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = recorded(ends('failed'), OPEN);
  const report: Report = await lab.run('guardedChange', INPUT, steps, async (handle) => {
    await waiting(handle);
    for (const wrong of [
      { site: 'other', action: 'keep' },
      { site: 'cms', action: 'again' },
      { site: 'cms' },
      undefined,
    ])
      await assert.rejects(handle.executeUpdate('decide', { args: [wrong] }), WorkflowUpdateFailedError);
    return reportOf(handle);
  });
  assert.ok(report.failures.some(({ type }) => type === 'NotApproved'));
  assert.ok(!calls.includes('turn'));
});

test('cancelled in mid-operation, with writes held: the state from before is back, and the run is cancelled', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  let began: () => void = () => {};
  const running = new Promise<void>((resolve) => {
    began = resolve;
  });
  const operate = async (): Promise<never> => {
    began();
    const beat = setInterval(() => Context.current().heartbeat(), 100);
    return Context.current().cancelled.finally(() => clearInterval(beat)) as Promise<never>;
  };
  const { steps, rollBacks } = recorded({ operate }, HELD);
  const report: Report = await lab.run('guardedChange', INPUT, steps, async (handle) => {
    await running;
    await handle.cancel();
    return reportOf(handle);
  });
  assert.equal(report.outcome, 'cancelled');
  assert.equal(report.rolledBack, true);
  assert.deepEqual(rollBacks, [true]);
});

test('an operation that the config does not have, and an input with a path, change nothing', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = recorded(
    {
      prepare: async () => {
        throw failure('UnknownOperation', { step: 'prepare', host: 'local', what: 'cms has no operation update' });
      },
    },
    HELD,
  );
  const report: Report = await lab.run('guardedChange', INPUT, steps, reportOf);
  assert.equal(report.failures[0]?.type, 'UnknownOperation');
  assert.deepEqual(calls, ['prepare', 'finish']);
  await lab.run('guardedChange', { site: 'cms', operation: '/bin/rm' }, steps, async (handle) => {
    await assert.rejects(handle.result(), (error: WorkflowFailedError) =>
      /a mistake in the input/.test(`${error.cause?.message}`),
    );
  });
});
