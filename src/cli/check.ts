import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { type Finding, failed, type HostFindings, warn } from '../core/findings.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { localSite, thisHost } from './sites.js';
import { stateDirOf } from './status.js';
import { temporalOptions, whereOf, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(
    cli.command(
      program,
      'check',
      'whether a backup would work here: tools, rights, space, repositories, workers, alarms; looked at by the worker',
    ),
  )
    .argument('[site]', 'only this one')
    .option('--init', 'create repositories that are not there')
    .option(
      '--state-dir <dir>',
      'the state directory, where no worker answers (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(check));
}

async function check(call: Call): Promise<ExitCode> {
  const host = thisHost(call);
  const { config, mistakes } = await configOf(call, host);
  if (!config) return tell(call, mistakes, EXIT.usage);
  const named = call.args[0];
  const only = named === undefined ? undefined : (await localSite(call, named)).site;
  const { own, temporal } = await ask(call, config, host, only);
  const findings = [...own.findings, ...temporal];
  const bad = findings.some(({ result }) => result === 'failed');
  const [first] = own.unsaved;
  const done = first === undefined ? 'holdfast status' : `holdfast backup ${first}`;
  return tell(call, findings, bad ? EXIT.failed : EXIT.completed, done);
}

/** A config that cannot be read would stop a worker too: its mistakes are all that there is to say. */
async function configOf(call: Call, host: string): Promise<{ config?: Config; mistakes: Finding[] }> {
  const { formatMistake, readConfig } = await import('../config/load.js');
  const { config, mistakes } = await readConfig(call.configFile(), { look: 'all', host });
  if (config) return { config, mistakes: [] };
  return { mistakes: mistakes.map((one) => failed('config', formatMistake(one), 'holdfast config validate')) };
}

interface Asked {
  own: HostFindings;
  temporal: Finding[];
}

/** The worker of this host answers for it: it is the one whose user, tools and environment a backup will have. */
async function ask(call: Call, config: Config, host: string, only: string | undefined): Promise<Asked> {
  const { isTemporalAway } = await import('./explain-error.js');
  const { resolveWhere } = await import('../client/connect.js');
  const { checkTemporal } = await import('./check-temporal.js');
  const { checkOnWorker } = await import('../client/check.js');
  const init = call.options.init === true;
  const site = only === undefined ? {} : { site: host === 'local' ? only : `${only}@${host}` };
  const asked = async (client: Client): Promise<Asked> => ({
    own: (await checkOnWorker(client, host, { ...site, init })) ?? (await here(call, host, only)),
    temporal: await checkTemporal(client, config, host),
  });
  try {
    return await withTemporal(call, asked);
  } catch (error) {
    if (!isTemporalAway(error)) throw error;
    const { address } = resolveWhere(whereOf(call));
    const away = failed('Temporal', `does not answer at ${address}; start it`, 'holdfast dev');
    return { own: await here(call, host, only), temporal: [away] };
  }
}

async function here(call: Call, host: string, only: string | undefined): Promise<HostFindings> {
  const { localContext } = await import('../../activities/local-context.js');
  const { checkHost } = await import('../../activities/preflight/check-host.js');
  const { openState } = await import('../../activities/site/state.js');
  const stateDir = stateDirOf(call);
  const ctx = await localContext('check', { stateDir, host });
  const init = call.options.init === true;
  const found = await checkHost(call.configFile(), only, { state: await openState(stateDir), host, ctx, init });
  const note = warn('worker', 'none answers: this was looked at by the command itself, as its own user');
  return { ...found, findings: [note, ...found.findings] };
}

const MARKS = { ok: ' ', warn: '!', failed: 'x' } as const;
/** The findings, and last the one command to type next: what helps against the worst of them. */
function tell(call: Call, findings: Finding[], exitCode: ExitCode, done = 'holdfast status'): ExitCode {
  const width = Math.max(...findings.map(({ about }) => about.length));
  for (const { result, about, said, next } of findings)
    call.say(`${MARKS[result]} ${about.padEnd(width)}  ${said}${next ? `: ${next}` : ''}`);
  const worst = findings.find(({ result, next }) => result === 'failed' && next);
  const failures = findings.filter(({ result }) => result === 'failed').length;
  const warnings = findings.filter(({ result, next }) => result === 'warn' && next);
  const again = failures > 0 ? 'holdfast check' : undefined;
  const next = worst?.next ?? again ?? warnings.find(({ next }) => next === 'holdfast schedule apply')?.next ?? done;
  const count = findings.filter(({ result }) => result === 'warn').length;
  call.say(`${findings.length} looked at: ${failures} failed, ${count} to know of`);
  call.say(`next: ${next}`);
  call.emit({ findings, next, exitCode });
  return exitCode;
}
