import type { Command } from 'commander';
import type { Cli } from './context.js';
import { given, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'restore-test',
    "prove a backup: restore it into scratch and run the application's own checks",
    (command) =>
      command
        .option('-s, --snapshot <id>', 'a snapshot as `holdfast snapshots` shows it (default: latest)')
        .option('--database-snapshot <id>', 'with the databases of this other snapshot: an older dump on newer data')
        .option('-r, --repository <name>', 'from this one')
        .option('--full', "read every byte instead of this run's sample"),
    async (client, site, call) => {
      const { startRestoreTest } = await import('../client/start.js');
      return startRestoreTest(client, {
        site,
        ...given(call, {
          snapshot: 'snapshot',
          databaseSnapshot: 'databaseSnapshot',
          repository: 'repository',
          full: 'full',
        }),
      });
    },
  );
}
