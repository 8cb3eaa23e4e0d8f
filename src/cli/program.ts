import { Command } from 'commander';
import { register as approve } from './approve.js';
import { register as attach } from './attach.js';
import { register as backup } from './backup.js';
import { register as cancel } from './cancel.js';
import type { Cli } from './context.js';
import { register as prune } from './prune.js';
import { register as restore } from './restore.js';
import { register as restoreTest } from './restore-test.js';
import { register as schedule } from './schedule.js';
import { register as verify } from './verify.js';
import { version } from './version.js';

/** Every `register(program, cli)`, in the order in which the help lists them. */
const COMMANDS: ((program: Command, cli: Cli) => void)[] = [
  backup,
  restore,
  restoreTest,
  verify,
  prune,
  attach,
  approve,
  cancel,
  schedule,
];

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
