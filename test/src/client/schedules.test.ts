import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Client } from '@temporalio/client';
import {
  applySchedules,
  listOurs,
  ourSchedule,
  type ScheduleChange,
  triggerSchedule,
} from '../../../src/client/schedules.js';
import type { ConfigFile } from '../../../src/config/schema.js';
import { testServer } from './support/server.js';

const server = await testServer();
const skip = typeof server === 'string' ? `no Temporal: ${server}` : false;
const client = typeof server === 'string' ? (undefined as unknown as Client) : server.client;

type Schedule = NonNullable<ConfigFile['sites'][string]['schedule']>;

function config(
  sites: Record<string, { schedule?: Schedule; host?: string; objectives?: { maxAge: string } }>,
): ConfigFile {
  return {
    version: 1,
    defaults: { timezone: 'Europe/Zurich' },
    repositories: { nas: { engine: 'archive', location: '/mnt/nas' } },
    sites: Object.fromEntries(
      Object.entries(sites).map(([name, lines]) => [
        name,
        { app: 'generic', root: `/srv/${name}`, repositories: ['nas'], ...lines },
      ]),
    ),
  };
}

const told = (changes: ScheduleChange[]) => changes.map(({ id, change }) => `${change} ${id}`).sort();
const NIGHTLY = { backup: '0 3 * * *', verify: 'weekly', restoreTest: 'monthly' };

test('creates what is wanted, and a second apply changes nothing', { skip }, async () => {
  const wanted = config({ cms: { schedule: { ...NIGHTLY, jitter: '10m' }, objectives: { maxAge: '26h' } } });
  const dry = await applySchedules(client, wanted, { dryRun: true });
  assert.deepEqual(told(dry), [
    'create holdfast-backup-cms',
    'create holdfast-restore-test-cms',
    'create holdfast-verify-cms',
    'create holdfast-watch-cms',
  ]);
  assert.equal((await applySchedules(client, wanted)).length, 4);
  assert.deepEqual(new Set((await applySchedules(client, wanted)).map(({ change }) => change)), new Set(['keep']));

  const { spec, policies, action, state } = await client.schedule.getHandle('holdfast-backup-cms').describe();
  assert.equal(spec.timezone, 'Europe/Zurich');
  assert.equal(spec.jitter, 600_000);
  assert.deepEqual(policies, { overlap: 'SKIP', catchupWindow: 12 * 3600_000, pauseOnFailure: false });
  assert.equal(action.workflowId, 'backup-cms');
  assert.deepEqual(action.args, [{ site: 'cms', reason: 'schedule' }]);
  assert.equal(action.taskQueue, 'holdfast');
  assert.equal(action.staticSummary, 'Back up cms, as scheduled (0 3 * * *, Europe/Zurich)');
  assert.equal(state.paused, false);
});

test('updates what differs, names it, and leaves paused what a person paused', { skip }, async () => {
  await until(async () => (await listOurs(client)).length === 4);
  const handle = await ourSchedule(client, 'holdfast-backup-cms');
  await handle.pause('moving house');
  const wanted = config({
    cms: { schedule: { backup: '0 4 * * *', timezone: 'UTC', catchUp: '6h', pauseOnFailure: true } },
  });
  const dry = await applySchedules(client, wanted, { dryRun: true });
  const update = dry.find(({ change }) => change === 'update');
  assert.deepEqual(update?.differences.slice(0, 2), ['times: 0 3 * * * → 0 4 * * *', 'timezone: Europe/Zurich → UTC']);
  assert.equal((await handle.describe()).spec.timezone, 'Europe/Zurich', 'a dry run changes nothing');
  await applySchedules(client, wanted);
  const { state, policies, spec } = await handle.describe();
  assert.deepEqual([state.paused, state.note], [true, 'moving house']);
  assert.deepEqual([policies.pauseOnFailure, policies.catchupWindow, spec.timezone], [true, 6 * 3600_000, 'UTC']);
  assert.ok((await applySchedules(client, wanted)).every(({ change }) => change === 'keep'));
});

test('sees a time that was changed by hand, and a summary', { skip }, async () => {
  const wanted = config({ cms: { schedule: { backup: '0 4 * * *' } } });
  await applySchedules(client, wanted);
  const handle = client.schedule.getHandle('holdfast-backup-cms');
  await handle.update((was) => ({ ...was, spec: { ...was.spec, calendars: [{ hour: 9, comment: '0 4 * * *' }] } }));
  const changes = await applySchedules(client, wanted);
  assert.deepEqual(
    changes.map(({ change, differences }) => ({ change, differences })),
    [{ change: 'update', differences: ['times: changed by hand'] }],
  );
  assert.deepEqual(
    (await applySchedules(client, wanted)).map(({ change }) => change),
    ['keep'],
  );
});

test("deletes what is ours and no longer wanted; others' schedules and other hosts' stay", { skip }, async () => {
  const action = { type: 'startWorkflow', workflowType: 'x', taskQueue: 'x' } as const;
  const spec = { intervals: [{ every: '1d' as const }] };
  await client.schedule.create({ scheduleId: 'holdfast-somebody', spec, action });
  await client.schedule.create({ scheduleId: 'holdfast-backup-wiki', spec, action });
  await client.schedule.create({ scheduleId: 'other', spec, action, memo: { holdfast: 1, host: 'local' } });
  await applySchedules(client, config({ files: { schedule: NIGHTLY, host: 'web1' } }), { host: 'web1' });
  await until(async () => (await listOurs(client)).length === 4);

  const changes = await applySchedules(client, config({ wiki: { schedule: { backup: 'daily' } } }));
  assert.deepEqual(told(changes), ['delete holdfast-backup-cms', 'foreign holdfast-backup-wiki']);
  const left: string[] = [];
  await until(async () => {
    left.length = 0;
    for await (const { scheduleId } of client.schedule.list()) left.push(scheduleId);
    return left.length === 6 && !left.includes('holdfast-backup-cms');
  });
  assert.deepEqual(left.sort(), [
    'holdfast-backup-files@web1',
    'holdfast-backup-wiki',
    'holdfast-restore-test-files@web1',
    'holdfast-somebody',
    'holdfast-verify-files@web1',
    'other',
  ]);
});

test('a trigger skips while the last run goes on, and knows its own', { skip }, async () => {
  const id = 'holdfast-backup-files@web1';
  await triggerSchedule(client, id);
  const handle = client.schedule.getHandle(id);
  await until(async () => (await handle.describe()).info.runningActions.length === 1);
  await triggerSchedule(client, id);
  await until(async () => (await handle.describe()).info.numActionsSkippedOverlap === 1);
  const { info } = await handle.describe();
  assert.equal(info.runningActions.length, 1);
  assert.match(
    info.runningActions[0]?.workflow.workflowId ?? '',
    /^backup-files@web1-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/,
  );
  await assert.rejects(triggerSchedule(client, 'holdfast-somebody'), /is not ours; see them with/);
  await assert.rejects(triggerSchedule(client, 'holdfast-backup-nope'), /there is no schedule holdfast-backup-nope/);
});

test('every line that is no cron is named at once, and nothing is touched', { skip }, async () => {
  const bad = config({ a: { schedule: { backup: 'nightly' } }, b: { schedule: { verify: '61 * * * *' } } });
  await assert.rejects(applySchedules(client, bad), (error: { type: string; details: { mistakes: string[] }[] }) => {
    assert.equal(error.type, 'InvalidConfig');
    assert.deepEqual(
      error.details[0]?.mistakes.map((line) => line.split(':')[0]),
      ['sites.a.schedule.backup', 'sites.b.schedule.verify'],
    );
    return true;
  });
});

async function until(is: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 60_000;
  while (!(await is())) {
    assert.ok(Date.now() < end, 'did not come about within 60 s');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
