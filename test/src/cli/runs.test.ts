import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { pollers } from '../../../src/client/pollers.js';
import { eventually } from '../../support/toy.js';
import { testServer } from '../client/support/server.js';
import { holdfast } from './support/holdfast.js';

const server = await testServer();
const skip = typeof server === 'string' ? `no Temporal: ${server}` : false;
const SITES = ['good', 'part', 'skip', 'bad', 'down', 'wrong', 'slow', 'ask'];
const CONFIG = `version: 1
repositories: { nas: { engine: archive, location: /mnt/nas } }
sites:
${SITES.map((site) => `  ${site}: { app: generic, root: /srv/${site}, service: none, repositories: [nas], schedule: { backup: daily } }`).join('\n')}
  far: { app: generic, root: /srv/far, host: web1, service: none, repositories: [nas] }
`;

describe('the command on a real server, with workflows that end as the site is called', { skip }, () => {
  if (typeof server === 'string') return;
  let dir: string;
  let env: Record<string, string>;
  let end: () => Promise<void>;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
    await writeFile(join(dir, 'holdfast.yaml'), CONFIG);
    env = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const connection = await NativeConnection.connect({ address: server.address });
    const options = { connection, namespace: server.namespace };
    const workflowsPath = fileURLToPath(new URL('./support/stub-workflows.ts', import.meta.url));
    const workers = [
      await Worker.create({ ...options, taskQueue: 'holdfast', workflowsPath }),
      await Worker.create({ ...options, taskQueue: 'holdfast@local', activities: { nothing: async () => {} } }),
    ];
    const running = workers.map((worker) => worker.run());
    end = async () => {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await connection.close();
    };
    const { client } = server;
    await eventually('both poll', 60_000, async () => {
      const polls = [
        await pollers(client, 'holdfast', 'workflow'),
        await pollers(client, 'holdfast@local', 'activity'),
      ];
      return polls.every(({ length }) => length > 0);
    });
  });
  after(async () => {
    await end?.();
    await rm(dir, { recursive: true, force: true });
  });
  const run = (args: string[], interruptAt?: RegExp) =>
    holdfast(args, { cwd: dir, env, ...(interruptAt ? { interruptAt } : {}) });

  for (const [site, code] of Object.entries({ good: 0, bad: 1, wrong: 2, part: 3, skip: 4, down: 6 })) {
    test(`backup ${site} exits with ${code} and says why first`, async () => {
      const { code: exit, out, err } = await run(['backup', site]);
      assert.equal(exit, code, out + err);
      assert.match(out, new RegExp(`^backup-${site}-\\d{4}-.*Ctrl-C detaches`));
      assert.match(out, new RegExp(`${site} ended`));
      assert.match(out, / {2}nas {2}verified {2}snapshot abcdef01/);
    });
  }

  test('--json is one object with a version, and nothing else', async () => {
    const { out, code } = await run(['backup', 'part', '--json', '--reason', 'before the upgrade']);
    const told = JSON.parse(out);
    assert.equal(code, 3);
    assert.deepEqual([told.schemaVersion, told.exitCode, told.report.outcome], [1, 3, 'partial']);
    const history = await server.client.workflow.getHandle(told.report.workflowId).fetchHistory();
    const { userMetadata } = history.events?.[0] ?? {};
    assert.equal(
      JSON.parse(Buffer.from(userMetadata?.summary?.data ?? []).toString()),
      'Back up part · before the upgrade',
    );
  });

  test('a host without a worker: 8, and nothing is started', async () => {
    const { code, err } = await run(['backup', 'far']);
    assert.equal(code, 8);
    assert.match(err, /no worker for host web1/);
    assert.match(err, /holdfast worker/);
    await assert.rejects(server.client.workflow.getHandle('backup-far@web1').describe());
  });

  test('Ctrl-C detaches and says how to attach; attach shows it again; cancel ends it', async () => {
    const first = await run(['backup', 'slow'], /store/);
    assert.equal(first.code, 130, first.err);
    const id = /holdfast attach (\S+)/.exec(first.err)?.[1] ?? '';
    assert.match(id, /^backup-slow-/);
    assert.equal((await server.client.workflow.getHandle(id).describe()).status.name, 'RUNNING');
    assert.equal((await run(['attach', id], /store/)).code, 130);
    const cancelled = await run(['cancel', id]);
    assert.equal(cancelled.code, 0, cancelled.err);
    assert.match(cancelled.out, /CANCELLED|was cancelled; the application is up/);
    assert.equal((await server.client.workflow.getHandle(id).describe()).status.name, 'CANCELLED');
  });

  test('a restore that waits for a person: 5 in a pipe; approve lets it go on', async () => {
    const asked = await run(['restore', 'ask']);
    assert.equal(asked.code, 5, asked.err);
    assert.match(asked.out, /now → then: rows 26 → 24/);
    const [, id = '', snapshot = ''] = /holdfast approve (\S+) --snapshot (\S+)/.exec(asked.out) ?? [];
    const without = await run(['approve', id]);
    assert.equal(without.code, 2);
    assert.match(without.err, /name the snapshot to approve/);
    const approved = await run(['approve', id, '--snapshot', snapshot]);
    assert.equal(approved.code, 0, approved.err);
    const ended = await run(['attach', id]);
    assert.equal(ended.code, 0, ended.err);
    assert.match(ended.out, new RegExp(`approved ask ${snapshot}`));
  });

  test('bad input: every mistake at once, nothing started: 2', async () => {
    const { code, err } = await run([
      'restore',
      'good',
      '--snapshot',
      '../x',
      '--target',
      '/srv/other',
      '--only',
      'A B',
    ]);
    assert.equal(code, 2);
    assert.match(err, /3 mistakes/);
    for (const field of ['snapshot', 'target', 'only']) assert.match(err, new RegExp(`  ${field}`));
  });

  test('schedule apply, list, pause, trigger and resume', async () => {
    assert.match(
      (await run(['schedule', 'apply', '--dry-run'])).out,
      /\+ holdfast-backup-good\n[\s\S]*8 schedules, 8 would change/,
    );
    assert.match((await run(['schedule', 'apply'])).out, /8 changed/);
    assert.match((await run(['schedule', 'apply'])).out, /8 schedules, nothing to change/);
    assert.equal((await run(['schedule', 'pause', 'holdfast-backup-good', '--reason', 'moving'])).code, 0);
    assert.equal((await run(['schedule', 'trigger', 'holdfast-backup-bad'])).code, 0);
    // The server's list lags a little behind changes.
    await eventually('all are listed', 60_000, async () => {
      const { out } = await run(['schedule', 'list', '--json']);
      return (JSON.parse(out).schedules as object[]).length === 8;
    });
    assert.equal((await run(['schedule', 'resume', 'holdfast-backup-good'])).code, 0);
    const unknown = await run(['schedule', 'pause', 'holdfast-backup-x']);
    assert.deepEqual([unknown.code, /there is no schedule holdfast-backup-x/.test(unknown.err)], [2, true]);
  });

  test('history shows what ran; status and history tell the same without Temporal', async () => {
    const { out, code } = await run(['history', 'part']);
    assert.equal(code, 0);
    assert.match(out, /PARTIAL +.*backup: part ended partial/);
    const away = await holdfast(['history', 'part'], { cwd: dir, env: { TEMPORAL_ADDRESS: '127.0.0.1:1' } });
    assert.equal(away.code, 0, away.err);
    assert.match(away.out, /Temporal does not answer at 127\.0\.0\.1:1/);
    const status = await run(['status']);
    assert.equal(status.code, 1, status.err);
    assert.match(status.out, /9 sites: .*not scheduled/);
  });
});
