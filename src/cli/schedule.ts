import type { Command } from 'commander';
import type { OurSchedule, ScheduleChange } from '../client/schedules.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { loadConfig, thisHost } from './sites.js';
import { table } from './table.js';
import { temporalOptions, withTemporal } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  const group = program.command('schedule').description("Temporal's schedules, made from the config");
  temporalOptions(cli.command(group, 'apply', 'make them equal to the config; touches nothing that is not ours'))
    .option('--dry-run', 'show the difference')
    .action(cli.action(apply));
  temporalOptions(cli.command(group, 'list', 'ours, and when they run next')).action(cli.action(show));
  const verbs = {
    pause: 'stop it until `resume`; `apply` leaves it so',
    resume: 'let a paused one go on',
    trigger: 'run it now, unless its last run is still going on',
  };
  for (const [verb, about] of Object.entries(verbs)) {
    const command = temporalOptions(cli.command(group, verb, about)).argument(
      '<schedule>',
      'as `schedule list` shows it',
    );
    if (verb !== 'trigger') command.option('--reason <text>', 'why, for the next person');
    command.action(cli.action((call) => act(call, verb)));
  }
}

const MARKS = { create: '+', update: '~', delete: '-', keep: ' ', foreign: '!' } as const;

async function apply(call: Call): Promise<ExitCode> {
  const config = await loadConfig(call);
  const dryRun = call.options.dryRun === true;
  return withTemporal(call, async (client) => {
    const { applySchedules } = await import('../client/schedules.js');
    const changes = await applySchedules(client, config, { dryRun, host: thisHost(call) });
    for (const change of changes) for (const line of changeLines(change)) call.say(line);
    const changed = changes.filter(({ change }) => change !== 'keep' && change !== 'foreign').length;
    const foreign = changes.filter(({ change }) => change === 'foreign').length;
    const would = dryRun ? 'would change' : 'changed';
    call.say(`${changes.length - foreign} schedules, ${changed === 0 ? 'nothing to change' : `${changed} ${would}`}`);
    const exitCode = foreign > 0 ? EXIT.failed : EXIT.completed;
    call.emit({ dryRun, changes, exitCode });
    return exitCode;
  });
}

function changeLines({ id, change, differences }: ScheduleChange): string[] {
  const why = change === 'foreign' ? ': somebody else made a schedule of this name; rename or delete it' : '';
  return [`${MARKS[change]} ${id}${why}`, ...differences.map((line) => `      ${line}`)];
}

async function show(call: Call): Promise<ExitCode> {
  return withTemporal(call, async (client) => {
    const { listOurs } = await import('../client/schedules.js');
    const schedules = await listOurs(client);
    call.emit({ schedules, exitCode: EXIT.completed });
    const rows = schedules.map((one) => [one.id, one.said ?? '', nextText(one), one.last?.workflowId ?? '–']);
    if (rows.length === 0) call.say('no schedules; make them with: holdfast schedule apply');
    else for (const line of table([['SCHEDULE', 'WHEN', 'NEXT (UTC)', 'LAST RUN'], ...rows])) call.say(line);
    return EXIT.completed;
  });
}

function nextText({ paused, note, next }: OurSchedule): string {
  if (paused) return `PAUSED${note ? `: ${note}` : ''}`;
  return next ? next.toISOString().slice(0, 16).replace('T', ' ') : '–';
}

async function act(call: Call, verb: string): Promise<ExitCode> {
  const id = call.args[0] ?? '';
  return withTemporal(call, async (client) => {
    const { ourSchedule, triggerSchedule } = await import('../client/schedules.js');
    const reason = typeof call.options.reason === 'string' ? call.options.reason : undefined;
    if (verb === 'trigger') await triggerSchedule(client, id);
    else if (verb === 'pause')
      await (await ourSchedule(client, id)).pause(reason ?? 'paused with holdfast schedule pause');
    else await (await ourSchedule(client, id)).unpause(reason ?? 'resumed with holdfast schedule resume');
    const done = { trigger: 'triggered', pause: 'paused', resume: 'resumed' }[verb] ?? verb;
    call.say(`${id} ${done}`);
    call.emit({ schedule: id, done, exitCode: EXIT.completed });
    return EXIT.completed;
  });
}
