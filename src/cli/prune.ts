import type { Command } from 'commander';
import type { PruneInput } from '../core/inputs.js';
import type { Cli } from './context.js';
import { given, list, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'prune',
    'remove what retention does not keep; its gates refuse what looks wrong',
    (command) =>
      command
        .option('-r, --repository <name>', 'only this one')
        .option('--dry-run', 'show what would go')
        .option('--allow <gate>', 'open a gate after reading what it says: shrunk, most', list),
    async (client, site, call) => {
      const { startPrune } = await import('../client/start.js');
      return startPrune(client, {
        site,
        ...(given(call, { repository: 'repository', dryRun: 'dryRun', allow: 'allow' }) as Partial<PruneInput>),
      });
    },
  );
}
