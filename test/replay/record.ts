import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { hostQueue, TASK_QUEUE, transferQueue } from '../../src/core/names.js';
import { HOLDFAST_VERSION } from '../../src/core/version.js';
import { bundle } from '../../worker/bundle.js';
import { SHAPES } from './shapes.js';

/**
 * Records one history of each shape on the server of TEMPORAL_ADDRESS, once per release:
 * `TEMPORAL_ADDRESS=127.0.0.1:7233 node --import tsx test/replay/record.ts [shape …]`
 */
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS ?? '127.0.0.1:7233' });
const client = new Client({ connection });
const workflowBundle = await bundle();
const wanted = process.argv.slice(2);
for (const [name, make] of Object.entries(SHAPES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const { workflow, input, steps, act } = make();
  const activities = steps as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  const throttle = { maxHeartbeatThrottleInterval: '200ms', defaultHeartbeatThrottleInterval: '200ms' } as const;
  const workers = await Promise.all([
    Worker.create({ connection, taskQueue: TASK_QUEUE, workflowBundle, identity: 'recorder' }),
    Worker.create({ connection, taskQueue: hostQueue('local'), activities, identity: 'recorder', ...throttle }),
    Worker.create({ connection, taskQueue: transferQueue('local'), activities, identity: 'recorder' }),
  ]);
  const runs = workers.map((worker) => worker.run());
  const handle = await client.workflow.start(workflow, {
    taskQueue: TASK_QUEUE,
    workflowId: `recorded-${name}-${Date.now()}`,
    args: [input],
  });
  await act?.(handle);
  await handle.result().catch(() => undefined);
  const file = fileURLToPath(new URL(`histories/${HOLDFAST_VERSION}-${name}.json`, import.meta.url));
  // Stack traces name the checkout that recorded them.
  const text = historyToJSON(await handle.fetchHistory()).replaceAll(ROOT, '');
  writeFileSync(file, `${text}\n`);
  for (const worker of workers) worker.shutdown();
  await Promise.all(runs);
  console.log(file);
}
await connection.close();
process.exit(0);
