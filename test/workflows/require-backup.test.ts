import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { WorkflowFailedError } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, type NativeConnection, Worker, type WorkflowBundle } from '@temporalio/worker';
import { TASK_QUEUE } from '../../src/core/names.js';
import { HoldfastPlugin } from '../../src/plugin.js';
import { findTemporal } from '../../worker/temporal-binary.js';

let env: TestWorkflowEnvironment | undefined;
let bundle: WorkflowBundle;

before(async () => {
  const { TEMPORAL_ADDRESS: _, ...own } = process.env;
  const found = await findTemporal({ env: own, fetch: false }).catch(() => undefined);
  if (!found || !('path' in found)) return;
  env = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'existing-path', path: found.path }, log: { format: 'json', level: 'error' } },
  });
  const workflowsPath = fileURLToPath(new URL('./require-backup.fixture.ts', import.meta.url));
  bundle = await bundleWorkflowCode({ workflowsPath });
});
after(() => env?.teardown());

/** The real plugin, but for what its workers do: they run the stand-in for `backup`. */
class StandIn extends HoldfastPlugin {
  made = 0;
  protected override async createWorkers(connection: NativeConnection, namespace: string): Promise<Worker[]> {
    this.made++;
    return [
      await Worker.create({ connection, namespace, taskQueue: TASK_QUEUE, workflowBundle: bundle, plugins: [this] }),
    ];
  }
}

async function withDeploys<T>(
  t: TestContext,
  run: (world: { env: TestWorkflowEnvironment; taskQueue: string; plugin: StandIn }) => Promise<T>,
): Promise<T | undefined> {
  if (!env) {
    t.skip('no temporal command: set TEMPORAL_CLI_PATH');
    return undefined;
  }
  const world = { env, taskQueue: 'deploys', plugin: new StandIn() };
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: world.taskQueue,
    workflowBundle: bundle,
    plugins: [world.plugin],
  });
  return worker.runUntil(() => run(world));
}

/** The failure that a deploy ended with. */
async function refused(t: TestContext, site: string): Promise<ApplicationFailure | undefined> {
  return withDeploys(t, async ({ env, taskQueue }) => {
    const running = env.client.workflow.execute('deploy', { taskQueue, workflowId: `deploy-${site}`, args: [site] });
    const error = await running.then(
      () => assert.fail('it migrated'),
      (e) => e,
    );
    assert.ok(error instanceof WorkflowFailedError);
    return error.cause as ApplicationFailure;
  });
}

test('a deploy goes on after a completed backup, which runs on our queue, in a worker that the plugin brought', (t) =>
  withDeploys(t, async ({ env, taskQueue, plugin }) => {
    const said = await env.client.workflow.execute('deploy', { taskQueue, workflowId: 'deploy-cms', args: ['cms'] });
    assert.equal(said, 'migrated after: cms completed; required by deploy');
    assert.equal(plugin.made, 1);
    const runs = [];
    // The server's list lags a little behind what runs.
    for (let left = 300; runs.length === 0 && left > 0; left--) {
      for await (const run of env.client.workflow.list({ query: 'WorkflowType = "backup"' })) runs.push(run);
      if (runs.length === 0) await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.equal(runs[0]?.taskQueue, TASK_QUEUE);
    assert.match(runs[0]?.workflowId ?? '', /^backup-cms-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  }));

for (const outcome of ['partial', 'skipped'])
  test(`a backup that ends ${outcome} stops the deploy`, async (t) => {
    const failure = await refused(t, outcome);
    if (!failure) return;
    assert.equal(failure.type, 'RequiredBackupFailed');
    assert.equal(failure.nonRetryable, true);
    assert.match(
      failure.message,
      new RegExp(`^deploy on local: the backup of ${outcome} ended ${outcome}; read the report of backup-${outcome}-`),
    );
    assert.deepEqual(
      (failure.details ?? []).map((details) => (details as { outcome: string }).outcome),
      [outcome],
    );
  });

test('a backup that fails stops the deploy, with its reason', async (t) => {
  const failure = await refused(t, 'broken');
  if (!failure) return;
  assert.equal(failure.type, 'RequiredBackupFailed');
  assert.match(
    failure.message,
    /^deploy on local: the backup of broken failed: prepare on local: no such site; name another$/,
  );
});

test('a backup that somebody cancels is a failure of the deploy, not its cancellation', async (t) => {
  const failure = await refused(t, 'called-off');
  if (!failure) return;
  assert.equal(failure.type, 'RequiredBackupFailed');
});

for (const end of ['terminate', 'cancel'] as const)
  test(`the backup lives on when the deploy gets ${end}`, (t) =>
    withDeploys(t, async ({ env, taskQueue }) => {
      const deploy = await env.client.workflow.start('deploy', {
        taskQueue,
        workflowId: `deploy-slow-${end}`,
        args: ['slow'],
      });
      const child = await childOf(env, deploy.workflowId);
      await deploy[end]();
      await assert.rejects(deploy.result(), WorkflowFailedError);
      const backup = env.client.workflow.getHandle(child);
      assert.equal((await backup.describe()).status.name, 'RUNNING');
      await backup.signal('go');
      assert.equal(((await backup.result()) as { outcome: string }).outcome, 'completed');
    }));

async function childOf(env: TestWorkflowEnvironment, workflowId: string): Promise<string> {
  for (;;) {
    const { events } = await env.client.workflow.getHandle(workflowId).fetchHistory();
    const id = events
      ?.map((event) => event.childWorkflowExecutionStartedEventAttributes?.workflowExecution?.workflowId)
      .find(Boolean);
    if (id) return id;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('two workers that share the plugin share what it brings', (t) =>
  withDeploys(t, async ({ env, plugin }) => {
    const second = await Worker.create({
      connection: env.nativeConnection,
      taskQueue: 'more-deploys',
      workflowBundle: bundle,
      plugins: [plugin],
    });
    await second.runUntil(async () => undefined);
    // The first one still needs it.
    const args = ['cms'];
    await env.client.workflow.execute('deploy', { taskQueue: 'deploys', workflowId: 'deploy-cms-again', args });
    assert.equal(plugin.made, 1);
  }));

test('a worker of ours that cannot start stops yours from running', async (t) => {
  if (!env) return t.skip('no temporal command: set TEMPORAL_CLI_PATH');
  class Broken extends HoldfastPlugin {
    protected override createWorkers(): Promise<Worker[]> {
      return Promise.reject(new Error('holdfast.yaml has mistakes'));
    }
  }
  const worker = await Worker.create({
    connection: env.nativeConnection,
    taskQueue: 'deploys',
    workflowBundle: bundle,
    plugins: [new Broken()],
  });
  await assert.rejects(worker.run(), /holdfast\.yaml has mistakes/);
});
