import type { Command } from 'commander';
import type { VerifyInput } from '../core/inputs.js';
import type { Cli } from './context.js';
import { given, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'verify',
    'verify what is stored, by the engine and by hashes',
    (command) =>
      command
        .option('-r, --repository <name>', 'only this one')
        .option('--depth <depth>', 'structure, sample or full (default: sample)'),
    async (client, site, call) => {
      const { startVerify } = await import('../client/start.js');
      return startVerify(client, {
        site,
        ...(given(call, { repository: 'repository', depth: 'depth' }) as Partial<VerifyInput>),
      });
    },
  );
}
