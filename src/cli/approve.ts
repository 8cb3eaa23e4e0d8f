import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { formatAddress } from '../core/names.js';
import type { Progress, Report } from '../core/report.js';
import { approve } from './ask-approval.js';
import { type Cli, CliError } from './context.js';
import { EXIT } from './exit-codes.js';
import { temporalOptions, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'approve', 'let a restore in place go ahead'))
    .argument('<run>', 'its id, or the site that it restores')
    .option('-s, --snapshot <id>', 'the snapshot that its prompt names; asked for where it is not given')
    .action(
      cli.action((call) =>
        withTemporal(call, async (client) => {
          const { findRun } = await import('../client/runs.js');
          const handle = await findRun(client, call.args[0] ?? '', ['restore']);
          const [report, progress] = await Promise.all([
            handle.query<Report>('report'),
            handle.query<Progress>('progress'),
          ]);
          if (!progress.waitsFor?.startsWith('approval')) {
            throw new CliError(EXIT.usage, `${handle.workflowId} waits for no approval: it is at ${progress.step}`);
          }
          call.say(`${formatAddress(report)} waits for ${progress.waitsFor}`);
          for (const note of report.notes) call.say(`  ${note}`);
          const { snapshot } = call.options;
          const chosen = typeof snapshot === 'string' ? snapshot : await ask(cli, report, progress);
          const said = await approve(handle, report, chosen);
          call.say(`${said}; watch it with: holdfast attach ${handle.workflowId}`);
          call.emit({ workflowId: handle.workflowId, said, exitCode: EXIT.completed });
          return EXIT.completed;
        }),
      ),
    );
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
