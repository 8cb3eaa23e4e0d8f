import { Command } from 'commander';
import { register as adopt } from './adopt.js';
import { register as approve } from './approve.js';
import { register as attach } from './attach.js';
import { register as backup } from './backup.js';
import { register as cancel } from './cancel.js';
import { register as check } from './check.js';
import { register as completion } from './completion.js';
import { register as config } from './config.js';
import type { Cli } from './context.js';
import { register as dev } from './dev.js';
import { register as explain } from './explain.js';
import { register as fleet } from './fleet.js';
import { register as guard } from './guard.js';
import { register as history } from './history.js';
import { register as init } from './init.js';
import { register as kit } from './kit.js';
import { register as logs } from './logs.js';
import { register as ls } from './ls.js';
import { register as prune } from './prune.js';
import { register as release } from './release.js';
import { register as repair } from './repair.js';
import { register as restore } from './restore.js';
import { register as restoreTest } from './restore-test.js';
import { register as schedule } from './schedule.js';
import { register as setup } from './setup.js';
import { register as snapshots } from './snapshots.js';
import { register as status } from './status.js';
import { register as verify } from './verify.js';
import { version } from './version.js';
import { register as watchdog } from './watchdog.js';
import { register as worker } from './worker.js';

/** Every `register(program, cli)`, in the order in which the help lists them. */
const COMMANDS: ((program: Command, cli: Cli) => void)[] = [
  init,
  explain,
  check,
  config,
  dev,
  worker,
  watchdog,
  backup,
  restore,
  restoreTest,
  guard,
  fleet,
  verify,
  prune,
  repair,
  snapshots,
  ls,
  status,
  history,
  logs,
  attach,
  approve,
  cancel,
  release,
  schedule,
  setup,
  kit,
  adopt,
  completion,
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
