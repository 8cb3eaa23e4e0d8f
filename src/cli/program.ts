import { Command } from 'commander';
import type { Cli } from './context.js';
import { version } from './version.js';

/** Every `register(program, cli)`, in the order in which the help lists them. */
const COMMANDS: ((program: Command, cli: Cli) => void)[] = [];

/** The program with every command on it. */
export function buildProgram(cli: Cli): Command {
  const program = new Command('holdfast')
    .description('Backup and restore of self-hosted applications as durable Temporal workflows')
    .version(version())
    .showHelpAfterError('(see: holdfast --help)')
    .exitOverride();
  for (const register of COMMANDS) register(program, cli);
  return program;
}
