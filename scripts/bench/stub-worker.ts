import { NativeConnection } from '@temporalio/worker';
import { mockSteps } from '../../test/support/mock-steps.js';
import { workersAround } from '../../worker/workers.js';

/*
 * A worker with Holdfast's workflows whose steps do nothing: `stub-worker ADDRESS NAMESPACE`. Says `ready` when it polls.
 */

const [address = '', namespace = ''] = process.argv.slice(2);
const { steps } = mockSteps();
const connection = await NativeConnection.connect({ address });
const workers = await workersAround({
  ...{ connection, namespace, identity: `stub pid ${process.pid}`, host: 'local' },
  ...{ hostSteps: steps, transferSteps: steps },
});
process.once('SIGTERM', () => {
  for (const worker of workers) worker.shutdown();
});
process.stdout.write('ready\n');
await Promise.all(workers.map((worker) => worker.run()));
await connection.close();
