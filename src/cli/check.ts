import type { Command } from 'commander';
import type { Config } from '../config/schema.js';
import { type Finding, failed } from './check-findings.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { localSite, thisHost } from './sites.js';
import { stateDirOf } from './status.js';
import { temporalOptions, whereOf } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(
    cli.command(
      program,
      'check',
      'whether a backup would work here: tools, rights, space, repositories, workers, alarms',
    ),
  )
    .argument('[site]', 'only this one')
    .option('--init', 'create repositories that are not there')
    .option(
      '--state-dir <dir>',
      'the state directory of the worker (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(check));
}

async function check(call: Call): Promise<ExitCode> {
  const { checkAlarms, checkConfigFile, checkWatchdog } = await import('./check-host.js');
  const host = thisHost(call);
  const { config, findings } = await checkConfigFile(call.configFile(), host);
  if (!config) return tell(call, findings, EXIT.usage);
  const named = call.args[0];
  const only = named === undefined ? undefined : (await localSite(call, named)).site;
  const sites = Object.keys(config.sites).filter(
    (site) => (only === undefined || site === only) && (config.sites[site]?.host ?? host) === host,
  );
  const stateDir = stateDirOf(call);
  const { checkSite } = await import('./check-site.js');
  for (const site of sites) {
    findings.push(...(await checkSite(config, site, { stateDir, host, init: call.options.init === true })));
  }
  findings.push(...(await checkWatchdog(stateDir, host)), ...checkAlarms(config, sites));
  findings.push(...(await temporal(call, config, host)));
  const bad = findings.some(({ result }) => result === 'failed');
  return tell(call, findings, bad ? EXIT.failed : EXIT.completed, await firstBackup(stateDir, sites));
}

async function temporal(call: Call, config: Config, host: string): Promise<Finding[]> {
  const { withTemporal } = await import('./temporal.js');
  const { isTemporalAway } = await import('./explain-error.js');
  const { resolveWhere } = await import('../client/connect.js');
  const { checkTemporal } = await import('./check-temporal.js');
  try {
    return await withTemporal(call, (client) => checkTemporal(client, config, host));
  } catch (error) {
    if (!isTemporalAway(error)) throw error;
    return [failed('Temporal', `does not answer at ${resolveWhere(whereOf(call)).address}; start it`, 'holdfast dev')];
  }
}

/** A site that has no backup yet: the thing to do once all is well. */
async function firstBackup(stateDir: string, sites: string[]): Promise<string> {
  const { readSite } = await import('../client/reports.js');
  for (const site of sites) {
    const { reports } = await readSite(stateDir, site);
    if (!reports.some(({ workflow, outcome }) => workflow === 'backup' && outcome === 'completed'))
      return `holdfast backup ${site}`;
  }
  return 'holdfast status';
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
