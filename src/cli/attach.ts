import type { Command } from 'commander';
import { isFleetId } from '../core/names.js';
import type { Cli } from './context.js';
import { temporalOptions, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'attach', 'show a run as it goes, until it ends'))
    .argument('<run>', 'its id, or a site: the newest running one')
    .action(
      cli.action((call) =>
        withTemporal(call, async (client) => {
          const { findRun } = await import('../client/runs.js');
          const { follow } = await import('./follow.js');
          const handle = await findRun(client, call.args[0] ?? '');
          if (!isFleetId(handle.workflowId)) return follow(call, client, handle);
          const { followFleet } = await import('./fleet.js');
          return followFleet(call, handle);
        }),
      ),
    );
}
