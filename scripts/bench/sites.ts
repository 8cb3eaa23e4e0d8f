import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { connect } from '../../src/client/connect.js';
import type { FleetReport } from '../../src/core/fleet.js';
import { TASK_QUEUE } from '../../src/core/names.js';
import { findTemporal, startDevServer } from '../../worker/dev-server.js';
import { end } from '../demo/processes.js';
import { peakMb, type Row, took } from './measure.js';

const STUB = fileURLToPath(new URL('./stub-worker.ts', import.meta.url));
const AT_ONCE = 50;

/** Backups of many sites by one worker whose steps do nothing: what the workflows and Temporal's dev server cost. */
export async function sites(few: number, most: number): Promise<Row[]> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-sites-'));
  const namespace = 'bench';
  const temporal = await findTemporal({ fetch: false });
  const server = await startDevServer({ temporal, namespace, headless: true, dbFile: join(dir, 'temporal.db') });
  const client = await connect({ address: server.address, namespace });
  const worker = spawn(process.execPath, ['--import', 'tsx', STUB, server.address, namespace], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await Promise.race([
      once(worker.stdout, 'data'),
      once(worker, 'exit').then(() => Promise.reject(new Error('the worker with stub steps did not start'))),
    ]);
    worker.stdout.resume();
    let ms = 0;
    const peak = (count: number) =>
      peakMb(worker.pid ?? 0, async () => {
        ms = await took(() => fleetOf(client, count));
      });
    await fleetOf(client, AT_ONCE);
    const less = await peak(few);
    const more = await peak(most);
    const what = `${most.toLocaleString('en')} sites, stub engines`;
    return [
      { what, unit: 'a second', ours: [most / (ms / 1000)], atLeast: 15 },
      {
        ...{ what: `worker memory, ${what}`, unit: 'MB', ours: [more], target: 1.3 },
        theirs: { name: `${few} sites`, values: [less] },
      },
    ];
  } finally {
    await end(worker);
    await client.connection.close();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

let fleets = 0;

/** Backs up so many sites; throws unless each of them completed, once. */
async function fleetOf(client: Client, count: number): Promise<void> {
  const name = `fleet-${++fleets}`;
  const names = Array.from({ length: count }, (_, n) => `${name}-${n}`);
  const input = { workflow: 'backup', sites: names, concurrency: AT_ONCE, perHost: AT_ONCE };
  const options = { taskQueue: TASK_QUEUE, workflowId: name, args: [input] };
  const report: FleetReport = await client.workflow.execute('fleet', options);
  const done = new Set(report.sites.filter(({ outcome }) => outcome === 'completed').map(({ site }) => site));
  if (done.size !== count || report.sites.length !== count)
    throw new Error(`of ${count} sites ${done.size} completed, in ${report.sites.length} runs`);
}
