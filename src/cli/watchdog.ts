import type { Command } from 'commander';
import type { Cli } from './context.js';
import { EXIT } from './exit-codes.js';
import { stateDirOf } from './status.js';
import { untilSignal } from './until-signal.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'watchdog', 'bring applications back whose backup died; needs neither worker nor Temporal')
    .option(
      '--state-dir <dir>',
      'the state directory that it watches (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(
      cli.action(async (call) => {
        const { runWatchdog } = await import('../../worker/watchdog.js');
        await runWatchdog({ stateDir: stateDirOf(call), signal: untilSignal(), log: call.say });
        return EXIT.completed;
      }),
    );
}
