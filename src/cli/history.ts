import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { formatDuration } from '../core/durations.js';
import { parseAddress } from '../core/names.js';
import type { Report } from '../core/report.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { addressOf } from './sites.js';
import { stateDirOf, withOrWithoutTemporal } from './status.js';
import { table } from './table.js';
import { temporalOptions } from './temporal.js';

const LIMIT = 30;

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'history', 'the runs of a site, newest first'))
    .argument('<site>')
    .option('-n, --limit <count>', `how many (default: ${LIMIT})`)
    .option(
      '--state-dir <dir>',
      'where this host keeps its reports (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .action(cli.action(history));
}

async function history(call: Call): Promise<ExitCode> {
  const address = await addressOf(call, call.args[0] ?? '');
  const limit = Number(call.options.limit ?? LIMIT);
  const [{ mergeReports, readSite }, { closedReports }, { listRuns }] = await Promise.all([
    import('../client/reports.js'),
    import('../client/status-gather.js'),
    import('../client/runs.js'),
  ]);
  const local = (await readSite(stateDirOf(call), parseAddress(address).site)).reports;
  const ask = async (client?: Client) => ({
    closed: client ? await closedReports(client, address, limit) : [],
    open: client ? await listRuns(client, address, { running: true }) : [],
  });
  const { value, away } = await withOrWithoutTemporal(call, ask);
  const reports = mergeReports(local, value.closed).reverse().slice(0, limit);
  const rows = [
    ...value.open.map(({ id, startedAt }) => [minute(startedAt.toISOString()), 'running', '', '', id]),
    ...reports.map(row),
  ];
  if (rows.length === 0) call.say(`no runs of ${address} yet; start one with: holdfast backup ${address}`);
  else for (const line of table([['STARTED (UTC)', 'OUTCOME', 'TOOK', 'DOWN', 'WHAT'], ...rows])) call.say(line);
  if (away) call.say(`? Temporal does not answer at ${away}: these are the reports of this host`);
  call.emit({
    site: address,
    running: value.open,
    reports,
    ...(away ? { temporalAway: away } : {}),
    exitCode: EXIT.completed,
  });
  return EXIT.completed;
}

function row({ startedAt, endedAt, outcome, downtimeMs, workflow, said }: Report): string[] {
  return [
    minute(startedAt),
    outcome === 'completed' ? outcome : outcome.toUpperCase(),
    endedAt ? formatDuration(Date.parse(endedAt) - Date.parse(startedAt)) : '',
    downtimeMs === undefined ? '' : formatDuration(downtimeMs),
    `${workflow}: ${said}`,
  ];
}

function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}
