import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { openState } from '../../activities/site/state.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import { findProgram } from '../../activities/tools/programs.js';
import { connect } from '../../src/client/connect.js';
import { DEFAULT_HOST, hostQueue } from '../../src/core/names.js';
import { type DevServer, startDevServer, type Temporal } from '../../worker/dev-server.js';
import { PATIENCE_MS, until } from './clock.js';
import { end, lastWords, startHoldfast } from './processes.js';
import { workerReady } from './runs.js';
import { createSite, type Site } from './site.js';
import { startVisitors, type Visitors } from './visitors.js';

/** Everything that the demo runs on, in a directory, a namespace and on ports of its own. */
export interface Stage {
  dir: string;
  engine: 'restic' | 'archive';
  repository: string;
  passwordFile: string;
  server: DevServer;
  client: Client;
  site: Site;
  visitors: Visitors;
  worker: () => ChildProcess;
  /** Starts another worker, as a supervisor would after a crash. */
  startWorker: () => void;
  /** Ends all that was started, and removes the directory. */
  strike: (keep: boolean) => Promise<void>;
}

export async function setStage(temporal: Temporal, say: (line: string) => void): Promise<Stage> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
  const undo: (() => Promise<unknown>)[] = [];
  const strike = async (keep: boolean) => {
    for (const step of undo.splice(0).reverse()) await step().catch((error) => say(`at the end: ${error.message}`));
    if (!keep) await rm(dir, { recursive: true, force: true });
  };
  try {
    return await build(temporal, dir, undo, strike);
  } catch (error) {
    const said = await lastWords(dir);
    await strike(false);
    throw new Error([error instanceof Error ? error.message : error, ...said].join('\n'));
  }
}

async function build(
  temporal: Temporal,
  dir: string,
  undo: (() => Promise<unknown>)[],
  strike: Stage['strike'],
): Promise<Stage> {
  const engine = findProgram('restic') ? 'restic' : 'archive';
  const namespace = `holdfast-demo-${randomBytes(3).toString('hex')}`;
  const state = join(dir, 'state');
  // First of all, so that the worker finds it and starts none of its own.
  const watchdog = startHoldfast(dir, {}, 'watchdog.log', ['watchdog', '--state-dir', state]);
  undo.push(() => end(watchdog));
  const [server, site] = await Promise.all([
    startDevServer({ temporal, namespace, dbFile: join(dir, 'temporal.db') }).then((started) => {
      undo.unshift(started.stop);
      return started;
    }),
    createSite(join(dir, 'site')),
  ]);
  const config = join(dir, 'holdfast.yaml');
  const repository = join(dir, 'repository');
  await Promise.all([repository, join(dir, 'scratch')].map((path) => mkdir(path)));
  const passwordFile = join(dir, 'restic.key');
  await writeFile(passwordFile, randomBytes(24).toString('base64'), { mode: 0o600 });
  await writeFile(config, configText(dir, engine, repository, site), { mode: 0o600 });

  await site.start();
  undo.push(site.stop);
  const opened = await openState(state);
  await until('the watchdog', PATIENCE_MS, () => watchdogAlive(opened));
  const environment = { TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: namespace };
  const args = ['worker', '--config', config, '--state-dir', state, '--host', DEFAULT_HOST];
  let worker = startHoldfast(dir, environment, 'worker.log', args);
  undo.push(() => end(worker));
  const client = await connect({ address: server.address, namespace });
  undo.push(() => client.connection.close());
  await Promise.all([site.healthy(), workerReady(client, hostQueue(DEFAULT_HOST), worker)]);
  const visitors = startVisitors(site.write, site.read);
  await visitors.pause();
  undo.push(visitors.stop);
  const startWorker = () => {
    worker = startHoldfast(dir, environment, 'worker.log', args);
  };
  return {
    dir,
    engine,
    repository,
    passwordFile,
    server,
    client,
    site,
    visitors,
    worker: () => worker,
    startWorker,
    strike,
  };
}

function configText(dir: string, engine: string, repository: string, site: Site): string {
  const password = engine === 'restic' ? `, password: { file: ${join(dir, 'restic.key')} }` : '';
  return `version: 1
repositories:
  nas: { engine: ${engine}, location: ${repository}${password} }
sites:
  cms:
    app: videocms
    root: ${site.root}
${site.serviceYaml}
    repositories: [nas]
    limits: { reserve: 100MB }
    restoreTest: { scratch: ${join(dir, 'scratch')}, boot: true, sample: 1/1, start: ${JSON.stringify(site.startCommand)} }
`;
}
