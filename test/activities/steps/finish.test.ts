import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { readReports } from '../../../activities/reports.js';
import { finish } from '../../../activities/steps/finish.js';
import { Report } from '../../../src/core/report.js';
import { testContext } from '../../support/context.js';

test('a run without a frozen plan writes its report and tells those whom the config names', async () => {
  const { state } = await testContext();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-finish-'));
  await mkdir(join(dir, 'site'));
  const told: string[] = [];
  const server = createServer((request, answer) => {
    request.setEncoding('utf8').on('data', (text: string) => told.push(text));
    request.on('end', () => answer.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const config = {
    version: 1,
    notify: { ops: { webhook: { file: join(dir, 'hook') }, on: ['failed'] } },
    defaults: { notify: ['ops'] },
    repositories: { local: { engine: 'archive', location: join(dir, 'repository') } },
    sites: { cms: { app: 'generic', root: join(dir, 'site'), service: 'none', repositories: ['local'] } },
  };
  await writeFile(join(dir, 'hook'), `http://127.0.0.1:${port}/`, { mode: 0o600 });
  const configPath = join(dir, 'holdfast.yaml');
  await writeFile(configPath, JSON.stringify(config), { mode: 0o600 });
  const report = Report.parse({
    ...{ schemaVersion: 1, workflow: 'backup', workflowId: 'backup-cms', runId: 'run-1', site: 'cms', host: 'local' },
    ...{ outcome: 'failed', said: 'prepare on local: made to fail', startedAt: '2026-11-21T03:00:00.000Z' },
  });
  const deps = { state, host: 'local', hostId: 'id', configPath, namespace: 'n', namespaceId: 'n' };
  const end = (path: string) =>
    new MockActivityEnvironment().run(finish({ ...deps, configPath: path }), {
      ...{ site: 'cms', host: 'local', report, held: false },
    }) as Promise<{ said: string }>;
  // Of an operation that another run has been at for two days: without it, it would be done again.
  const journal = join(state.captures('cms'), 'another.journal');
  await mkdir(journal, { recursive: true });
  const old = new Date(Date.now() - 2 * 86_400_000);
  await utimes(journal, old, old);
  try {
    assert.equal((await end(configPath)).said, 'Failed; told ops');
    assert.match(told.join(''), /made to fail/);
    assert.ok(existsSync(journal));
    assert.equal((await readReports(state, 'cms')).length, 1);
    assert.match((await end('/nonexistent/holdfast.yaml')).said, /nobody could be told/);
  } finally {
    server.close();
  }
});
