import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
// In a project of your own: 'holdfast'.
import { HoldfastPlugin } from '../../src/index.js';
import * as activities from './activities.js';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));

const connection = await NativeConnection.connect({ address: process.env.TEMPORAL_ADDRESS });
try {
  const worker = await Worker.create({
    connection,
    taskQueue: 'deploys',
    workflowsPath: here('./workflows.ts'),
    activities,
    plugins: [new HoldfastPlugin({ configPath: here('./holdfast.yaml'), stateDir: here('./data/state') })],
  });
  await worker.run();
} finally {
  await connection.close();
}
