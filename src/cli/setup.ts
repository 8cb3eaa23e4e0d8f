import { join } from 'node:path';
import type { Command } from 'commander';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { onHost, planOnHost } from './on-host.js';
import { stateDirOf } from './status.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'setup', 'change an application as its backups need it, once (on its host); each change is told')
    .argument('<site>')
    .option('--undo', 'put back what was there before')
    .option(
      '--state-dir <dir>',
      'the state directory of its worker (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(setup));
}

async function setup(call: Call): Promise<ExitCode> {
  const plan = await planOnHost(call, call.args[0] ?? '');
  const { ctx } = await onHost(call, 'setup', plan.site);
  const [{ checks }, { openState }] = await Promise.all([
    import('../../activities/checks/index.js'),
    import('../../activities/site/state.js'),
  ]);
  const setUp = checks[plan.app]?.setUp;
  const record = join((await openState(stateDirOf(call))).site(plan.site).dir, 'setup.json');
  const said = setUp
    ? await setUp(plan, { undo: call.options.undo === true, record }, ctx)
    : `${plan.app} needs no set-up`;
  call.say(said);
  call.emit({ site: plan.site, said });
  return EXIT.completed;
}
