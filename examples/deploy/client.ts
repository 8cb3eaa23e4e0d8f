import { Client, Connection } from '@temporalio/client';
import type { deploy } from './workflows.js';

const [version = 'v2'] = process.argv.slice(2);
const connection = await Connection.connect({ address: process.env.TEMPORAL_ADDRESS });
try {
  const client = new Client({ connection });
  const workflowId = `deploy-${version}-${Date.now()}`;
  console.log(
    await client.workflow.execute<typeof deploy>('deploy', { taskQueue: 'deploys', workflowId, args: [version] }),
  );
} finally {
  await connection.close();
}
