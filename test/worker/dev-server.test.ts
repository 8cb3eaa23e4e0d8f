import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { OUTCOME, SITE, WORKFLOW } from '../../src/client/search-attributes.js';
import { type DevServer, findTemporal, runUrl, startDevServer } from '../../worker/dev-server.js';

const YEAR_SECONDS = 365 * 86_400;

describe('the dev server', () => {
  let dir: string;
  let server: DevServer;
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'holdfast-dev-server-'));
    const temporal = await findTemporal({ env });
    server = await startDevServer({ temporal, namespace: 'ours', dbFile: join(dir, 'temporal.db'), headless: true });
  });
  after(async () => {
    await server?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('keeps runs of its namespace for a year and knows our search attributes', async () => {
    const client = await connect(server);
    const namespace = await client.workflowService.describeNamespace({ namespace: 'ours' });
    assert.equal(Number(namespace.config?.workflowExecutionRetentionTtl?.seconds), YEAR_SECONDS);
    const { operatorService } = client.connection as import('@temporalio/client').Connection;
    const { customAttributes } = await operatorService.listSearchAttributes({ namespace: 'ours' });
    for (const { name } of [SITE, WORKFLOW, OUTCOME]) assert.equal(customAttributes?.[name], 2, name);
    await client.connection.close();
  });

  test('a second caller gets a namespace of its own on the running server and never stops it', async () => {
    const guest = await startDevServer({ temporal: { address: server.address }, namespace: 'guest' });
    await guest.stop();
    const client = await connect({ address: server.address, namespace: 'guest' });
    const { config } = await client.workflowService.describeNamespace({ namespace: 'guest' });
    assert.equal(Number(config?.workflowExecutionRetentionTtl?.seconds), YEAR_SECONDS);
    await client.connection.close();
  });

  test('stopped and started on its file it still has what it had', async () => {
    const first = await connect(server);
    await first.workflow.start('never', { taskQueue: 'nobody', workflowId: 'kept' });
    await first.connection.close();
    await server.stop();
    const temporal = await findTemporal({ env });
    server = await startDevServer({ temporal, namespace: 'ours', dbFile: join(dir, 'temporal.db'), headless: true });
    const second = await connect(server);
    assert.equal((await second.workflow.getHandle('kept').describe()).status.name, 'RUNNING');
    await second.connection.close();
  });

  test('a program that is no server fails with what it said', async () => {
    await assert.rejects(
      startDevServer({ temporal: { path: '/bin/false' }, namespace: 'ours' }),
      /Temporal's dev server ended/,
    );
  });
});

test('findTemporal takes what it is told before what it finds, and says what to do where there is nothing', async () => {
  const nothing = { PATH: '', HOME: '/nonexistent' };
  assert.deepEqual(await findTemporal({ env: { ...nothing, TEMPORAL_ADDRESS: 'a:1', TEMPORAL_CLI_PATH: '/t' } }), {
    address: 'a:1',
  });
  assert.deepEqual(await findTemporal({ env: { ...nothing, TEMPORAL_CLI_PATH: '/t' } }), { path: '/t' });
  await assert.rejects(findTemporal({ env: nothing, fetch: false }), /set TEMPORAL_ADDRESS, or install/);
});

test('the page of a run has its ids escaped, and times stay readable', () => {
  assert.equal(
    runUrl({ uiUrl: 'http://127.0.0.1:8233', namespace: 'demo' }, 'backup-cms@web1-2026-11-21T03:00:00Z', 'r1'),
    'http://127.0.0.1:8233/namespaces/demo/workflows/backup-cms%40web1-2026-11-21T03:00:00Z/r1',
  );
});
