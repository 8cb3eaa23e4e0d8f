import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { failure } from '../../src/core/failures.js';
import type { FleetReport } from '../../src/core/fleet.js';
import { TASK_QUEUE } from '../../src/core/names.js';
import { mockSteps, type Steps, said, snapshot } from '../support/mock-steps.js';
import { skipWithoutServer, type WorkflowLab, workflowLab } from '../support/workflow-env.js';

let lab: WorkflowLab | undefined;
before(async () => {
  lab = await workflowLab();
});
after(() => lab?.end());

async function reportOf(handle: WorkflowHandle): Promise<FleetReport> {
  await handle.result().catch((error) => assert.ok(error instanceof WorkflowFailedError));
  return handle.query<FleetReport>('report');
}

/** Steps of a verify that say how many sites were at it at the same time; each waits until `together` were. */
function counting(together = 1) {
  const now = new Set<string>();
  const most = { all: 0 };
  const verify: Steps['verify'] = async ({ site, repository }) => {
    now.add(site);
    most.all = Math.max(most.all, now.size);
    for (let left = 1000; most.all < together && left > 0; left--) await sleep(20);
    // For one more that must not come.
    await sleep(50);
    now.delete(site);
    return { ...said('verify'), snapshot: snapshot(repository), level: 'verified' };
  };
  return { ...mockSteps({ verify }), most };
}

test('one site fails, the others complete; each is a run of its own, and the worst outcome is that of all', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({
    stop: async ({ site }) => {
      if (site === 'cms') throw failure('ServiceUnknown', { step: 'stop', host: 'local', what: 'there is no cms' });
      return { ...said('stop'), epoch: 1 };
    },
  });
  const report = await lab.run('fleet', { workflow: 'backup', all: true }, steps, async (handle) => {
    const ended = await reportOf(handle);
    const child = lab!.env.client.workflow.getHandle(ended.sites[0]?.workflowId ?? '');
    assert.match((await child.describe()).workflowId, /^backup-(cms|wiki)-\d{4}-/);
    return ended;
  });
  assert.equal(report.outcome, 'failed');
  assert.equal(report.said, 'backup of 2 sites: 1 completed, 1 failed');
  const sites = Object.fromEntries(report.sites.map(({ site, outcome, type }) => [site, [outcome, type]]));
  assert.deepEqual(sites, { cms: ['failed', 'ServiceUnknown'], wiki: ['completed', undefined] });
});

test('no more at a time than asked for: one per host, or as many as in all', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const sites = ['a', 'b', 'c', 'd', 'e'];
  const one = counting();
  assert.equal((await lab.run('fleet', { workflow: 'verify', sites }, one.steps, reportOf)).outcome, 'completed');
  assert.equal(one.most.all, 1);
  const two = counting(2);
  const input = { workflow: 'verify', sites, concurrency: 2, perHost: 5 };
  const report = await lab.run('fleet', input, two.steps, reportOf);
  assert.equal(two.most.all, 2);
  assert.deepEqual(report.sites.map(({ site }) => site).sort(), sites);
});

test('a host that does not answer fails by name, and the others go on', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const input = { workflow: 'verify', all: true, hosts: ['local', 'gone'] };
  const report = await lab.run('fleet', input, mockSteps().steps, reportOf);
  assert.equal(report.outcome, 'failed');
  assert.deepEqual(
    report.sites.map(({ site, outcome, type }) => [site, outcome, type]),
    [
      ['@gone', 'failed', 'NoWorker'],
      ['cms', 'completed', undefined],
      ['wiki', 'completed', undefined],
    ],
  );
});

test('a cancellation ends what runs, in order, and begins no other', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  let began: () => void = () => {};
  const running = new Promise<void>((resolve) => {
    began = resolve;
  });
  const dump = async (): Promise<never> => {
    began();
    const beat = setInterval(() => Context.current().heartbeat(), 100);
    return Context.current().cancelled.finally(() => clearInterval(beat)) as Promise<never>;
  };
  const { steps, calls } = mockSteps({ dump });
  const report = await lab.run('fleet', { workflow: 'backup', sites: ['cms', 'wiki'] }, steps, async (handle) => {
    await running;
    await handle.cancel();
    return reportOf(handle);
  });
  assert.equal(report.outcome, 'cancelled');
  assert.deepEqual(
    report.sites.map(({ site, outcome }) => [site, outcome]),
    [['cms', 'cancelled']],
  );
  assert.deepEqual(report.waiting, ['wiki']);
  assert.ok(calls.includes('start') && calls.includes('finish'), 'its application is up again');
});

test('a long fleet goes on in a new history with what is done and what is left', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps();
  const first = await lab.run('fleet', { workflow: 'verify', sites: ['another'] }, steps, async () => {
    const done = Array.from({ length: 200 }, (_, i) => ({ site: `s${i}`, outcome: 'completed' }));
    const carried = { startedAt: '2026-11-21T03:00:00.000Z', waiting: ['cms', 'wiki'], sites: done };
    const handle = await lab!.env.client.workflow.start('fleet', {
      taskQueue: TASK_QUEUE,
      workflowId: 'fleet-carried',
      args: [{ workflow: 'verify', all: true }, carried],
    });
    return reportOf(handle);
  });
  assert.equal(first.said, 'verify of 202 sites: 202 completed');
  assert.equal(first.startedAt, '2026-11-21T03:00:00.000Z');
});

test('a site that is named twice has one run, also where its host is named twice or said in another way', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  for (const [input, sites] of [
    [{ sites: ['cms', 'cms@local', 'cms'] }, ['cms']],
    [{ all: true, hosts: ['local', 'local'] }, ['cms', 'wiki']],
  ] as const) {
    const report: FleetReport = await lab.run(
      'fleet',
      { workflow: 'verify', perHost: 9, ...input },
      counting().steps,
      reportOf,
    );
    assert.deepEqual(
      report.sites.map(({ site, outcome }) => [site, outcome]).sort(),
      sites.map((site) => [site, 'completed']),
    );
  }
});

test('a fleet that finds no site has not done its job', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps({ choose: async () => ({ ...said('choose'), sites: [] }) });
  const report = await lab.run('fleet', { workflow: 'backup', app: 'vidoecms' }, steps, reportOf);
  assert.equal(report.outcome, 'failed');
  assert.deepEqual(report.sites, [
    { site: '@local', outcome: 'failed', said: 'it has no site of the application vidoecms', type: 'UnknownSite' },
  ]);
});

test('an input that names sites and asks for all of them is refused', async (t) => {
  if (skipWithoutServer(t, lab)) return;
  const { steps } = mockSteps();
  await lab.run('fleet', { workflow: 'watch', sites: ['cms'], all: true }, steps, async (handle) => {
    await assert.rejects(handle.result(), (error: WorkflowFailedError) =>
      /mistakes? in the input/.test(`${error.cause?.message}`),
    );
  });
});
