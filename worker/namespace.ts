import { type Client, isGrpcServiceError } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { connect, type Where } from '../src/client/connect.js';
import { registerSearchAttributes } from '../src/client/search-attributes.js';

const RETENTION = msToTs('365 days');
const ALREADY_EXISTS = 6;
const NOT_FOUND = 5;

/**
 * Makes the namespace where it lacks, with a year of retention (a dev server's own is a day) and our search
 * attributes; one that is there is only changed on a server of our `own`. A new namespace reaches a server's parts only
 * after some seconds; this returns when it answers.
 */
export async function ensureNamespace(where: Where & { namespace: string }, { own }: { own: boolean }): Promise<void> {
  const client = await connect(where);
  try {
    await register(client, where.namespace, own);
    await answering(client);
    await registerSearchAttributes(client);
  } finally {
    await client.connection.close();
  }
}

async function register(client: Client, namespace: string, own: boolean): Promise<void> {
  try {
    await client.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod: RETENTION });
  } catch (error) {
    if (!isGrpcServiceError(error) || error.code !== ALREADY_EXISTS) throw error;
    if (!own) return;
    await client.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: RETENTION },
    });
  }
}

async function answering(client: Client): Promise<void> {
  const until = Date.now() + 30_000;
  for (;;) {
    try {
      await client.workflow.list({ pageSize: 1 })[Symbol.asyncIterator]().next();
      return;
    } catch (error) {
      const cause = (error as Error).cause;
      if (!isGrpcServiceError(cause) || cause.code !== NOT_FOUND || Date.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
