import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { formatDuration } from '../core/durations.js';
import type { Call, Cli } from './context.js';
import { dropAsides } from './drop-asides.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { onHost } from './on-host.js';
import { localSite } from './sites.js';
import { stateDirOf } from './status.js';

const WITHIN_MS = 120_000;

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'release', 'bring a site back now, whatever holds it down (on its host)')
    .argument('<site>')
    .option(
      '--state-dir <dir>',
      'the state directory of its worker (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .option('--drop-aside', 'remove what restores and rollbacks have put aside, instead of keeping it for 7 days')
    .option('--confirm <site>', 'with --drop-aside: repeat the site')
    .action(cli.action((call) => (call.options.dropAside === true ? dropAsides(call) : release(call))));
}

/** Needs no config: the record has what a start takes, also where the config has changed or gone since. */
async function release(call: Call): Promise<ExitCode> {
  const site = (call.args[0] ?? '').split('@')[0] ?? '';
  const [{ openSite }, { openState }] = await Promise.all([
    import('../../activities/site/site.js'),
    import('../../activities/site/state.js'),
  ]);
  const state = await openState(stateDirOf(call));
  // A name that was mistyped must not be told "it is up".
  if (!existsSync(join(state.root, 'sites', site, 'record.json'))) await localSite(call, site);
  const guard = openSite(state, site);
  const before = await guard.read();
  if (before.phase !== 'stopped' && before.phase !== 'revoked') {
    const held = before.holder ? `; ${before.holder.workflowId} has it, and has not stopped it` : '';
    call.say(`${site} is not held down (${before.phase})${held}`);
    call.emit({ site, phase: before.phase, released: false, exitCode: EXIT.completed });
    return EXIT.completed;
  }
  const { ctx } = await onHost(call, 'release', site);
  try {
    const { downAt, upAt } = await guard.ensureUp('recover', { withinMs: WITHIN_MS, why: 'holdfast release' }, ctx);
    const down = downAt ? `, was down ${formatDuration(Date.parse(upAt) - Date.parse(downAt))}` : '';
    call.say(`${site} is up${down}`);
    call.emit({ site, phase: before.phase, released: true, downAt, upAt, exitCode: EXIT.completed });
    return EXIT.completed;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    call.cli.writeError(`holdfast: ${message}\n  the watchdog goes on trying; see: holdfast status ${site}\n`);
    call.emit({ site, phase: before.phase, released: false, error: { message }, exitCode: EXIT.down });
    return EXIT.down;
  }
}
