import type { WorkflowHandle } from '@temporalio/client';
import { Argument, type Command, InvalidArgumentError } from 'commander';
import { formatDuration } from '../core/durations.js';
import { type FleetReport, fleetSaid } from '../core/fleet.js';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT, type ExitCode, exitOf } from './exit-codes.js';
import { addressOf } from './sites.js';
import { given, list } from './start-command.js';
import { table } from './table.js';
import { temporalOptions, withTemporal } from './temporal.js';

const WORKFLOWS = { backup: 'backup', 'restore-test': 'restoreTest', verify: 'verify', prune: 'prune' } as const;
const POLL_MS = 500;

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'fleet', 'the same job for many sites, a few at a time'))
    .addArgument(new Argument('<workflow>', 'what to do with each').choices(Object.keys(WORKFLOWS)))
    .argument('[sites...]', 'these sites')
    .option('--all', 'all sites of the hosts')
    .option('--app <app>', 'all sites of one application')
    .option('--host <name>', 'of these hosts (several: repeat it; default: this one)', list)
    .option('--concurrency <n>', 'how many at a time (default 4)', wholeNumber)
    .option('--per-host <n>', 'how many at a time on one host (default 1)', wholeNumber)
    .option('--reason <text>', 'why, for the history')
    .option('--detach', 'start it and return at once')
    .action(cli.action(fleet));
}

async function fleet(call: Call): Promise<ExitCode> {
  const [name = '', ...named] = call.args.filter((arg) => arg !== undefined);
  const workflow = WORKFLOWS[name as keyof typeof WORKFLOWS];
  if (named.length === 0 && !call.options.all && !call.options.app)
    throw new CliError(EXIT.usage, 'name sites, or say --all or --app');
  const sites = await Promise.all(named.map((site) => addressOf(call, site)));
  return withTemporal(call, async (client) => {
    const { startFleet } = await import('../client/fleet.js');
    const options = { all: 'all', app: 'app', host: 'hosts', concurrency: 'concurrency', perHost: 'perHost' };
    const input = {
      workflow,
      ...(sites.length > 0 ? { sites } : {}),
      ...given(call, { ...options, reason: 'reason' }),
    };
    const handle = await startFleet(client, input);
    call.say(handle.workflowId);
    if (call.options.detach === true) {
      call.emit({ workflowId: handle.workflowId, exitCode: EXIT.completed });
      return EXIT.completed;
    }
    return followFleet(call, handle);
  });
}

/** Shows a fleet until all of its sites are done. Returns the exit code of the worst. */
export async function followFleet(call: Call, handle: WorkflowHandle): Promise<ExitCode> {
  const { fleetReportOf } = await import('../client/fleet.js');
  const ended = fleetReportOf(handle);
  await watch(call, handle, ended);
  const report = await ended;
  for (const line of render(report)) call.say(line);
  const exitCode = exitOf(
    report.outcome,
    report.sites.flatMap(({ type }) => type ?? []),
  );
  call.emit({ report, exitCode });
  return exitCode;
}

/** One line per site as it ends, until all have. */
async function watch(call: Call, handle: WorkflowHandle, ended: Promise<FleetReport>): Promise<void> {
  let over = false;
  const end = ended.then(
    () => {
      over = true;
    },
    () => {
      over = true;
    },
  );
  for (let told = 0; !over; ) {
    await Promise.race([end, new Promise((resolve) => setTimeout(resolve, POLL_MS))]);
    const report = await handle.query<FleetReport>('report').catch(() => undefined);
    for (const { site, outcome } of report?.sites.slice(told) ?? [])
      call.say(`${call.cli.now().toISOString().slice(11, 19)}Z ${site} ${outcome}`);
    told = report?.sites.length ?? told;
  }
}

function render(report: FleetReport): string[] {
  const bad = report.sites.filter(({ outcome }) => outcome !== 'completed');
  const took = report.endedAt ? `  ${formatDuration(Date.parse(report.endedAt) - Date.parse(report.startedAt))}` : '';
  return [
    fleetSaid(report),
    ...table(bad.map(({ site, outcome, said = '' }) => [`  ${site}`, outcome.toUpperCase(), said])),
    `  ${report.workflowId}${took}`,
  ];
}

function wholeNumber(text: string): number {
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('must be a whole number above 0');
}
