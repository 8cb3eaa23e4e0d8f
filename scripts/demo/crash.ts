import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startBackup } from '../../src/client/start.js';
import { now, PATIENCE_MS, sleep, until } from './clock.js';
import type { Facts } from './facts.js';
import { finished } from './runs.js';
import type { Stage } from './stage.js';
import { sum } from './visitors.js';

/** A second backup, whose worker is killed with SIGKILL as soon as the site does not answer; a new one takes over. */
export async function crash(stage: Stage): Promise<Facts['crash'] & { url: string }> {
  const { client, visitors, server } = stage;
  const before = await snapshots(stage);
  // Ids carry the second of their start.
  await sleep(1000);
  const from = now();
  const handle = await startBackup(client, { site: 'cms', reason: 'demo: its worker is killed' });
  await until('the site to go down', PATIENCE_MS, () => visitors.status() !== 200 || undefined);
  const worker = stage.worker();
  const gone = new Promise((resolve) => worker.once('exit', resolve));
  worker.kill('SIGKILL');
  await gone;
  stage.startWorker();
  const { report, url, to } = await finished(handle, from, server);
  const outages = await visitors.outages(from, to);
  const made = (await snapshots(stage)).filter((id) => !before.includes(id));
  return { downMs: sum(outages), stops: outages.length, outcome: report.outcome, snapshots: made.length, url };
}

/** What the repository holds, as its own tool lists it: not as Holdfast says. */
async function snapshots({ engine, repository, passwordFile }: Stage): Promise<string[]> {
  if (engine === 'archive') {
    const names = await readdir(repository, { recursive: true });
    return names.filter((name) => /\.tar\.(zst|gz)(\.partial)?$/.test(name)).map((name) => join(repository, name));
  }
  const args = [
    '--repo',
    repository,
    '--password-file',
    passwordFile,
    '--no-lock',
    '--no-cache',
    'snapshots',
    '--json',
  ];
  const { stdout } = await promisify(execFile)('restic', args);
  return (JSON.parse(stdout) as { id: string }[]).map(({ id }) => id);
}
