import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { formatAddress } from '../core/names.js';
import type { Progress, Report } from '../core/report.js';
import { type Action, approve, asksPerson, decide, readAction } from './ask-approval.js';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT } from './exit-codes.js';
import { temporalOptions, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'approve', 'let a restore in place go ahead, or answer a guarded change'))
    .argument('<run>', 'its id, or its site')
    .option('-s, --snapshot <id>', 'the snapshot that its prompt names; asked for where it is not given')
    .option('--keep', 'a guarded change: keep what the operation left')
    .option('--roll-back', 'a guarded change: back to the state from before')
    .action(
      cli.action((call) =>
        withTemporal(call, async (client) => {
          const { findRun } = await import('../client/runs.js');
          const handle = await findRun(client, call.args[0] ?? '', ['restore', 'guardedChange']);
          const [report, progress] = await Promise.all([
            handle.query<Report>('report'),
            handle.query<Progress>('progress'),
          ]);
          if (!asksPerson(progress)) {
            throw new CliError(EXIT.usage, `${handle.workflowId} waits for no approval: it is at ${progress.step}`);
          }
          call.say(`${formatAddress(report)} waits for ${progress.waitsFor}`);
          for (const note of report.notes) call.say(`  ${note}`);
          const { snapshot } = call.options;
          const answer = async () =>
            approve(handle, report, typeof snapshot === 'string' ? snapshot : await ask(cli, report, progress));
          const said = await (progress.decide ? decide(handle, report, await actionOf(call)) : answer());
          call.say(`${said}; watch it with: holdfast attach ${handle.workflowId}`);
          call.emit({ workflowId: handle.workflowId, said, exitCode: EXIT.completed });
          return EXIT.completed;
        }),
      ),
    );
}

async function actionOf({ cli, options }: Call): Promise<Action> {
  if ((options.keep === true) !== (options.rollBack === true)) return options.keep === true ? 'keep' : 'rollBack';
  if (!cli.tty || !process.stdin.isTTY || options.keep === true)
    throw new CliError(EXIT.usage, 'say which: --keep or --roll-back');
  const action = await readAction();
  if (action) return action;
  throw new CliError(EXIT.waits, 'not decided; it goes on waiting');
}

async function ask(cli: Cli, report: Report, { approve: snapshot }: Progress): Promise<string | undefined> {
  if (!cli.tty || !process.stdin.isTTY) {
    throw new CliError(EXIT.usage, `name the snapshot to approve: --snapshot ${snapshot ?? report.captureId}`);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(`Type ${report.site} to replace what is there now: `);
  terminal.close();
  if (answer.trim() === report.site) return report.captureId;
  throw new CliError(EXIT.waits, 'not approved; it goes on waiting');
}
