import type { Command } from 'commander';
import type { Cli } from './context.js';
import { given, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'repair',
    'bring single missing or damaged objects of a live site back from a snapshot (MediaGit)',
    (command) =>
      command.option(
        '--from <repository|snapshot|remote>',
        'where from (default: the newest proven, else verified snapshot)',
      ),
    async (client, site, call) => {
      const { startRepair } = await import('../client/start.js');
      return startRepair(client, { site, ...given(call, { from: 'from' }) });
    },
  );
}
