import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { connect } from '../../src/client/connect.js';
import { reportOf } from '../../src/client/follow.js';
import { startBackup } from '../../src/client/start.js';
import { findTemporal } from '../../worker/dev-server.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

describe('holdfast dev', () => {
  let dir: string;
  let dev: ChildProcess;
  let said = '';
  const { TEMPORAL_ADDRESS: _, TEMPORAL_NAMESPACE: __, ...env } = process.env;

  before(async () => {
    await findTemporal({ env });
    dir = await mkdtemp(join(tmpdir(), 'holdfast-dev-'));
    await mkdir(join(dir, 'site'));
    await writeFile(join(dir, 'site', 'page.html'), 'a page');
    const config = {
      version: 1,
      repositories: { here: { engine: 'archive', location: join(dir, 'repository') } },
      sites: { wiki: { app: 'generic', root: join(dir, 'site'), service: 'none', repositories: ['here'] } },
    };
    Object.assign(config.sites.wiki, { limits: { reserve: '10MB' } });
    await writeFile(join(dir, 'holdfast.yaml'), JSON.stringify(config), { mode: 0o600 });
    const args = ['dev', '--config', join(dir, 'holdfast.yaml'), '--state-dir', join(dir, 'state')];
    dev = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], { cwd: ROOT, env, detached: true });
    for (const stream of [dev.stdout, dev.stderr]) stream?.on('data', (chunk) => (said += chunk));
    await eventually('a worker that is ready', () => /worker of host local is ready/.test(said));
  });
  after(async () => {
    // SIGTERM and not SIGKILL: what it started must end with it, or would keep this file from its end.
    if (dev.exitCode === null && dev.signalCode === null) {
      const exited = once(dev, 'exit');
      dev.kill('SIGTERM');
      await exited;
    }
    await rm(dir, { recursive: true, force: true });
  });

  test('one command gives a server, a worker that does the job, and a watchdog', async () => {
    const address = /Temporal at (\S+),/.exec(said)?.[1];
    assert.match(said, /UI at http:\/\/127\.0\.0\.1:\d+/);
    const client = await connect({ address, namespace: 'default' });
    const report = await eventually('a worker that polls', () =>
      startBackup(client, { site: 'wiki' }).catch(() => undefined),
    ).then(reportOf);
    await client.connection.close();
    assert.equal(report.outcome, 'completed', JSON.stringify(report.failures));
    assert.ok(existsSync(watchdogProc(dir)), 'the watchdog of the state directory lives');
  });

  test('ended, it takes the worker, the watchdog and the server with it', async () => {
    const watchdog = watchdogProc(dir);
    const exited = once(dev, 'exit');
    dev.kill('SIGINT');
    const [code] = await exited;
    assert.equal(code, 0, said);
    assert.equal(existsSync(watchdog), false, 'the watchdog is gone');
    await assert.rejects(connect({ address: /Temporal at (\S+),/.exec(said)?.[1] }));
    assert.ok(existsSync(join(dir, 'state/temporal/temporal.db')), 'what ran is kept');
  });
});

/** `/proc/<pid>` of the watchdog that has this state directory. */
function watchdogProc(dir: string): string {
  return `/proc/${JSON.parse(readFileSync(join(dir, 'state/watchdog.json'), 'utf8')).pid}`;
}

async function eventually<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  for (const until = Date.now() + 180_000; Date.now() < until; ) {
    const answer = await ask();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited in vain for ${what}`);
}
