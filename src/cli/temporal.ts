import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { Call } from './context.js';

/** Options of every command that talks to Temporal; without them the environment says where it is. */
export function temporalOptions(command: Command): Command {
  return command
    .option('--address <host:port>', "Temporal's address (default: TEMPORAL_ADDRESS, else 127.0.0.1:7233)")
    .option('--namespace <name>', 'its namespace (default: TEMPORAL_NAMESPACE, else default)');
}

/** Where the options and the environment say that Temporal is. */
export function whereOf(call: Call): { address?: string; namespace?: string } {
  const { address, namespace } = call.options;
  return {
    ...(typeof address === 'string' ? { address } : {}),
    ...(typeof namespace === 'string' ? { namespace } : {}),
  };
}

/** Runs `use` with a connected client, and closes it. The SDK is only loaded here. */
export async function withTemporal<T>(call: Call, use: (client: Client) => Promise<T>): Promise<T> {
  const { connect } = await import('../client/connect.js');
  const client = await connect(whereOf(call));
  try {
    return await use(client);
  } finally {
    await client.connection.close();
  }
}
