import type { Command } from 'commander';
import type { Cli } from './context.js';
import { EXIT } from './exit-codes.js';
import { loadConfig, thisHost } from './sites.js';
import { stateDirOf } from './status.js';
import { temporalOptions, whereOf } from './temporal.js';
import { untilSignal } from './until-signal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'worker', 'run the worker of this host, until it is ended'))
    .option('--host <name>', 'what this host is called (default: HOLDFAST_HOST, else local)')
    .option(
      '--state-dir <dir>',
      'where it keeps records and reports (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(
      cli.action(async (call) => {
        // Mistakes are told and do not end it: first of all it brings back what its predecessor left down.
        await loadConfig(call).catch(async (error: unknown) => {
          const { explainFailure } = await import('./explain-error.js');
          const { message, mistakes } = explainFailure(error);
          call.cli.writeError([`holdfast: ${message}`, ...mistakes.map((line) => `  ${line}`), ''].join('\n'));
        });
        const { runWorker } = await import('../../worker/main.js');
        await runWorker({
          ...whereOf(call),
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
