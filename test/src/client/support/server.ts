import { randomUUID } from 'node:crypto';
import { after } from 'node:test';
import type { Client } from '@temporalio/client';
import { connect } from '../../../../src/client/connect.js';
import { type DevServer, findTemporal, startDevServer } from '../../../../worker/dev-server.js';

export interface TestServer extends DevServer {
  client: Client;
}

/** A throw-away Temporal for one test file, or the reason why there is none. */
export async function testServer(): Promise<TestServer | string> {
  const { TEMPORAL_ADDRESS: _, ...env } = process.env;
  const temporal = await findTemporal({ env, fetch: false }).catch((error: Error) => error.message);
  if (typeof temporal === 'string') return temporal;
  const server = await startDevServer({ temporal, namespace: `test-${randomUUID().slice(0, 8)}`, headless: true });
  const client = await connect(server);
  after(async () => {
    await client.connection.close();
    await server.stop();
  });
  return { ...server, client };
}
