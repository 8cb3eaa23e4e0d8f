import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApplicationFailure, WorkflowFailedError } from '@temporalio/client';
import { failure } from '../../src/core/failures.js';
import type { Report } from '../../src/core/report.js';
import { mockSteps, type Steps, said, snapshot } from '../support/mock-steps.js';
import { skipWithoutServer, type WorkflowLab, workflowLab } from '../support/workflow-env.js';

let lab: WorkflowLab | undefined;
before(async () => {
  lab = await workflowLab();
});
after(() => lab?.end());

const fails = (step: string) => async (): Promise<never> => {
  throw failure('SourceMissing', { step, host: 'local', what: `${step} is made to fail` });
};

/** Runs to the end, whatever that is, and gives the report. */
async function reportOf(input: unknown, steps: Steps): Promise<Report> {
  return lab!.run('backup', input, steps, async (handle) => {
    await handle.result().catch((error) => assert.ok(error instanceof WorkflowFailedError));
    return handle.query<Report>('report');
  });
}

test('a good run goes through its steps in order, and its result says what happened first', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  const report = await lab.run('backup', { site: 'cms' }, steps, (handle) => handle.result() as Promise<Report>);
  assert.deepEqual(calls, ['prepare', 'stop', 'checkpoint', 'dump', 'start', 'store', 'verify', 'prune', 'finish']);
  assert.equal(report.outcome, 'completed');
  assert.equal(Object.keys(report)[0], 'said');
  assert.match(report.said, /^cms is stored and verified in nas; down 1\.34 s$/);
  assert.equal(report.repositories[0]?.level, 'verified');
});

test('another host whose worker never comes is waited for a short while, and the run ends partial', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const repositories = [
    { name: 'nas', engine: 'archive', offsite: false, prunes: '' },
    { name: 'dated', engine: 'rsync', offsite: true, prunes: '', host: 'backupbox' },
  ];
  // Long before a store's own limit, for which the site would be kept from its next backup.
  const limits = { startMs: 1_800_000, storeMs: 20 * 3_600_000, pickupMs: 15_000 };
  const { steps, calls } = mockSteps({}, { repositories, limits });
  const report = await reportOf({ site: 'cms' }, steps);
  assert.ok(Date.parse(report.endedAt ?? '') - Date.parse(report.startedAt) >= 15_000);
  assert.equal(report.outcome, 'partial');
  assert.match(report.said, /^PARTIAL: nas has it, dated failed/);
  assert.match(report.failures[0]?.message ?? '', /^part on backupbox: no worker answers for host backupbox/);
  assert.deepEqual(
    calls.filter((call) => !['verify', 'store', 'seal'].includes(call)),
    [...['prepare', 'stop', 'checkpoint', 'dump', 'start', 'finish']],
  );
  assert.ok(calls.includes('seal'));
});

test('remotes are pushed to once all is stored; one that fails makes the run partial, and undoes nothing', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const asked: string[] = [];
  const push: Steps['push'] = async ({ remote }) => {
    asked.push(remote);
    return remote === 'backup' ? fails('push')() : said('push');
  };
  const { steps, calls } = mockSteps({ push }, { pushes: ['backup', 'other'] });
  const report = await reportOf({ site: 'cms' }, steps);
  assert.deepEqual(asked, ['backup', 'other']);
  assert.deepEqual(calls.slice(-5), ['verify', 'prune', 'push', 'push', 'finish']);
  assert.equal(report.repositories[0]?.level, 'verified');
  assert.deepEqual([report.outcome, report.failures.map(({ step }) => step)], ['partial', ['push (backup)']]);
  assert.match(report.said, /^PARTIAL: nas has it, push \(backup\) failed; down/);
});

test('a run without failures has at most 60 events, and 20 more for another repository', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const events = async (repositories: string[]) => {
    const list = repositories.map((name) => ({ name, engine: 'archive', offsite: false, prunes: '7 daily' }));
    const { steps } = mockSteps({}, { repositories: list });
    return lab!.run('backup', { site: 'cms' }, steps, async (handle) => {
      await handle.result();
      return (await handle.fetchHistory()).events?.length ?? 0;
    });
  };
  const one = await events(['nas']);
  assert.ok(one <= 60, `${one} events`);
  assert.ok((await events(['nas', 'offsite'])) - one <= 20);
});

test('an input that is not what it takes ends the run at once and names every mistake', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps, calls } = mockSteps();
  for (const [input, words] of [
    [undefined, ['must be an object']],
    ['cms', ['must be an object']],
    [{}, ['site']],
    [{ site: '../etc', level: 'some', extra: 1 }, ['site', 'level', 'extra']],
  ] as const) {
    const error: unknown = await lab.run('backup', input, steps, (handle) =>
      handle.result().then(
        () => undefined,
        (e: unknown) => e,
      ),
    );
    assert.ok(error instanceof WorkflowFailedError && error.cause instanceof ApplicationFailure);
    assert.equal(error.cause.type, 'InvalidInput');
    for (const word of words) assert.match(error.cause.message, new RegExp(word));
  }
  assert.deepEqual(calls, []);
});

test('whichever step of the section fails, the application is started, and the run fails with its report', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const step of ['stop', 'checkpoint', 'dump'] as const) {
    const { steps, calls } = mockSteps({ [step]: fails(step) });
    const report = await reportOf({ site: 'cms' }, steps);
    assert.equal(report.outcome, 'failed', step);
    assert.equal(report.failures[0]?.type, 'SourceMissing');
    assert.deepEqual(calls.slice(calls.indexOf(step)), [step, 'start', 'finish']);
  }
});

test('a run that is cancelled in the section starts the application, finishes, and closes as cancelled', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const step of ['stop', 'checkpoint', 'dump', 'store', 'verify'] as const) {
    const { Context } = await import('@temporalio/activity');
    const hangs = async (): Promise<never> => {
      const beat = setInterval(() => Context.current().heartbeat(), 100);
      try {
        return await Context.current().cancelled;
      } finally {
        clearInterval(beat);
      }
    };
    const { steps, calls } = mockSteps({ [step]: hangs });
    const status: string = await lab.run('backup', { site: 'cms' }, steps, async (handle) => {
      while (!calls.includes(step)) await new Promise((r) => setTimeout(r, 20));
      await handle.cancel();
      await handle.result().catch(() => undefined);
      return (await handle.describe()).status.name;
    });
    assert.equal(status, 'CANCELLED', step);
    assert.equal(calls.filter((name) => name === 'start').length, 1, step);
    assert.equal(calls.at(-1), 'finish', step);
  }
});

test('a section that the watchdog revoked is repeated once, and not twice', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const revoked = failure('SectionRevoked', { step: 'dump', host: 'local', what: 'revoked' });
  const once = (times: number) => {
    let left = times;
    return async () => {
      if (left-- > 0) throw failure('SectionRevoked', { step: 'dump', host: 'local', what: 'revoked' });
      return { ...said('dump'), capturedAt: '2026-11-21T03:00:00.000Z' };
    };
  };
  assert.equal(revoked.nonRetryable, true);
  const good = mockSteps({ dump: once(1) });
  assert.equal((await reportOf({ site: 'cms' }, good.steps)).outcome, 'completed');
  assert.equal(good.calls.filter((name) => name === 'stop').length, 2);
  const bad = mockSteps({ dump: once(2) });
  const report = await reportOf({ site: 'cms' }, bad.steps);
  assert.equal(report.outcome, 'failed');
  assert.equal(bad.calls.filter((name) => name === 'start').length, 2);
});

test('one repository of two that fails makes the run partial; both make it failed', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const repositories = ['nas', 'offsite'].map((name) => ({ name, engine: 'archive', offsite: false, prunes: '' }));
  const store =
    (bad: string[]): Steps['store'] =>
    async ({ repository }) => {
      if (bad.includes(repository))
        throw failure('RepositoryDenied', { step: 'store', host: 'local', what: 'refused' });
      return { ...said('store'), snapshot: snapshot(repository), addedBytes: 1, files: 1 };
    };
  const partial = await reportOf({ site: 'cms' }, mockSteps({ store: store(['offsite']) }, { repositories }).steps);
  assert.equal(partial.outcome, 'partial');
  assert.match(partial.said, /^PARTIAL: nas has it, offsite failed/);
  const failed = await reportOf(
    { site: 'cms' },
    mockSteps({ store: store(['nas', 'offsite']) }, { repositories }).steps,
  );
  assert.equal(failed.outcome, 'failed');
});

test('an application that never comes up: stored all the same, people are told, and the run fails naming the snapshot', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const why = 'start on local: shop could not be put back; look whether its server runs';
  const told: string[] = [];
  const { steps } = mockSteps(
    {
      start: async () => ({
        ...said('start', { said: why }),
        ...{ up: false, rolledBack: false, downtimeMs: 30_000, sections: 1 },
      }),
      alarm: async ({ said: text }) => {
        told.push(text);
        return said('alarm');
      },
    },
    // A mocked step takes no time, so that each ask is 5 s after the last: a limit of minutes keeps the history short.
    { limits: { startMs: 160_000, storeMs: 3_600_000 } },
  );
  const report = await reportOf({ site: 'cms' }, steps);
  assert.equal(report.outcome, 'failed');
  assert.match(report.said, /APPLICATION DOWN; stored: nas:abcdef01/);
  assert.equal(report.failures.at(-1)?.type, 'ApplicationDown');
  assert.equal(report.repositories[0]?.level, 'verified');
  assert.equal(told.length, 2, 'at once, and after two minutes');
  assert.ok(
    told.every((text) => text.endsWith(`after its start: ${why}`)),
    told.join(),
  );
  assert.ok(report.notes.includes(why));
});

test('a run that another one of its kind holds back, or its condition, ends as skipped', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const held = mockSteps({}, { heldBy: 'backup-cms-1' });
  assert.equal((await reportOf({ site: 'cms' }, held.steps)).outcome, 'skipped');
  assert.deepEqual(held.calls, ['prepare', 'finish']);
  const not = mockSteps({ hook: async () => ({ ...said('hook'), skip: true }) }, { hooks: ['condition', 'before'] });
  assert.equal((await reportOf({ site: 'cms' }, not.steps)).outcome, 'skipped');
  assert.deepEqual(not.calls, ['prepare', 'hook', 'finish']);
});

test('hooks run before and after, and onFailure only after a failure', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const hooks: string[] = [];
  const hook: Steps['hook'] = async ({ hook: name, outcome }) => {
    hooks.push(outcome ? `${name} ${outcome}` : name);
    return { ...said('hook'), skip: false };
  };
  const all = { hooks: ['before', 'after', 'onFailure'] as const };
  await reportOf({ site: 'cms' }, mockSteps({ hook }, { hooks: [...all.hooks] }).steps);
  await reportOf({ site: 'cms' }, mockSteps({ hook, dump: fails('dump') }, { hooks: [...all.hooks] }).steps);
  assert.deepEqual(hooks, ['before', 'after completed', 'before', 'onFailure failed', 'after failed']);
});

test('without a worker for the host the run fails within seconds and says so', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const report = await reportOf({ site: 'cms@elsewhere' }, mockSteps().steps);
  assert.equal(report.failures[0]?.type, 'NoWorker');
  assert.match(report.failures[0]?.message ?? '', /no worker answers for host elsewhere; start `holdfast worker`/);
});

test('a start that fails with whatever is asked for again, and people are told meanwhile', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  let starts = 0;
  const events: string[] = [];
  const { steps, calls } = mockSteps({
    start: async () => {
      if (++starts < 3) throw failure('WrongHost', { step: 'start', host: 'local', what: 'made to fail' });
      return { ...said('start'), up: true, rolledBack: false, downtimeMs: 1, sections: 1 };
    },
    alarm: async ({ event }) => {
      events.push(event);
      return said('alarm');
    },
  });
  const report = await reportOf({ site: 'cms' }, steps);
  assert.equal(report.outcome, 'completed');
  assert.equal(starts, 3);
  assert.deepEqual(events, ['down', 'recovered']);
  assert.ok(calls.includes('store'));
});

test('a run that fails before its plan is frozen writes its report and tells people all the same', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const finished: unknown[] = [];
  const { steps, calls } = mockSteps({
    prepare: fails('prepare'),
    finish: async (input) => {
      finished.push([input.plan, input.held, input.report.outcome, input.report.failures[0]?.type]);
      return said('finish');
    },
  });
  await reportOf({ site: 'cms' }, steps);
  assert.deepEqual(calls, ['prepare', 'finish']);
  assert.deepEqual(finished, [[undefined, false, 'failed', 'SourceMissing']]);
});

test('a run whose end cannot be written is not told as completed', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({ finish: fails('finish') });
  const report = await reportOf({ site: 'cms' }, steps);
  assert.equal(report.outcome, 'partial');
});

test('a repository whose key is elsewhere is stored, never called verified, and fails nothing', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({ verify: async () => ({ ...said('verify'), snapshot: snapshot(), level: 'stored' }) });
  const report = await reportOf({ site: 'cms' }, steps);
  assert.equal(report.outcome, 'completed');
  assert.equal(report.repositories[0]?.level, 'stored');
  assert.match(report.said, /^cms is stored in nas, whose key is elsewhere/);
});
