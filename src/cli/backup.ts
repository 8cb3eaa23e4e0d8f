import type { Command } from 'commander';
import type { Cli } from './context.js';
import { given, list, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'backup',
    'back a site up now, and show how it goes',
    (command) =>
      command
        .option('-r, --repository <name>', 'only to this one (several: repeat it)', list)
        .option('--level <level>', 'full, differential or incremental, where the engine tells them apart')
        .option('--reason <text>', 'why, for the history'),
    async (client, site, call) => {
      const { startBackup } = await import('../client/start.js');
      return startBackup(client, {
        site,
        ...given(call, { repository: 'repositories', level: 'level', reason: 'reason' }),
      });
    },
  );
}
