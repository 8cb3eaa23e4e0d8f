import type { Command } from 'commander';
import { isFleetId } from '../core/names.js';
import type { Cli } from './context.js';
import { EXIT } from './exit-codes.js';
import { temporalOptions, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'cancel', 'end a run in order: its application comes up first'))
    .argument('<run>', 'its id, or a site: the newest running one')
    .option('--detach', 'ask for it and return at once')
    .action(
      cli.action((call) =>
        withTemporal(call, async (client) => {
          const { findRun } = await import('../client/runs.js');
          const { follow } = await import('./follow.js');
          const { followFleet } = await import('./fleet.js');
          const handle = await findRun(client, call.args[0] ?? '');
          await handle.cancel();
          if (call.options.detach !== true) {
            const code = isFleetId(handle.workflowId)
              ? await followFleet(call, handle)
              : await follow(call, client, handle);
            return code === EXIT.failed ? EXIT.completed : code;
          }
          call.say(`${handle.workflowId} was asked to end`);
          call.emit({ workflowId: handle.workflowId, exitCode: EXIT.completed });
          return EXIT.completed;
        }),
      ),
    );
}
