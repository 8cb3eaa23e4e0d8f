import type { Command } from 'commander';
import type { Cli } from './context.js';
import { EXIT } from './exit-codes.js';
import { loadConfig, thisHost } from './sites.js';
import { stateDirOf } from './status.js';
import { untilSignal } from './until-signal.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'dev', 'everything on one machine: Temporal, its UI, a worker and a watchdog')
    .option('--host <name>', 'what this host is called (default: HOLDFAST_HOST, else local)')
    .option(
      '--state-dir <dir>',
      'where it keeps its database, records and reports (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(
      cli.action(async (call) => {
        await loadConfig(call);
        const { runDev } = await import('../../worker/dev.js');
        await runDev({
          configPath: call.configFile(),
          stateDir: stateDirOf(call),
          host: thisHost(call),
          signal: untilSignal(),
          say: call.say,
        });
        return EXIT.completed;
      }),
    );
}
