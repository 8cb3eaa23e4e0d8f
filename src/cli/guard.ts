import type { Command } from 'commander';
import { formatDuration } from '../core/durations.js';
import { type DatabaseSpec, type OperationSpec, type Plan, pathOf } from '../core/plan.js';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { planOnHost } from './on-host.js';
import { given, startCommand } from './start-command.js';

export function register(program: Command, cli: Cli): void {
  startCommand(
    program,
    cli,
    'guard',
    'do a risky operation with a net: check, capture, operation, check, and back again on failure',
    (command) =>
      command
        .argument('<operation>', "one of the site's `operations`")
        .option('--reason <text>', 'why, for the history')
        .option('--dry-run', 'show what would be captured, done and rolled back (on its host)'),
    async (client, site, call) => {
      const { startGuardedChange } = await import('../client/start.js');
      return startGuardedChange(client, { site, operation: call.args[1] ?? '', ...given(call, { reason: 'reason' }) });
    },
    dryRun,
  );
}

/** The plan of a change, from the config alone; undefined where it is to be made. */
async function dryRun(call: Call): Promise<ExitCode | undefined> {
  if (call.options.dryRun !== true) return undefined;
  const [site = '', name = ''] = call.args;
  const plan = await planOnHost(call, site);
  const operation = Object.hasOwn(plan.operations, name) ? plan.operations[name] : undefined;
  if (!operation) {
    const known = Object.keys(plan.operations).join(', ') || 'none; name some under `operations` of the site';
    throw new CliError(EXIT.usage, `${plan.site} has no operation ${name}; known: ${known}`);
  }
  const parts = await partsOf(plan, operation);
  for (const line of [`${name} of ${plan.site}, nothing is done yet:`, ...lines(operation, parts)]) call.say(line);
  call.emit({ site: plan.site, operation: name, ...operation, ...parts, exitCode: EXIT.completed });
  return EXIT.completed;
}

async function partsOf({ databases, fileSets }: Plan, { touches }: OperationSpec) {
  const { canBeExchanged } = await import('../../activities/exchanged.js');
  const mine = ({ name }: { name: string }) => touches?.includes(name) ?? true;
  const all = [...databases.map((spec) => ({ ...spec, change: 'mutable' as const })), ...fileSets];
  const names = (list: { name: string }[]) => list.map(({ name }) => name);
  return {
    rolledBack: names(all.filter(mine)),
    linked: names(fileSets.filter((set) => mine(set) && set.change !== 'mutable')),
    notRolledBack: names(all.filter((part) => !mine(part))),
    inServers: names(databases.filter((spec) => mine(spec) && served(spec) && canBeExchanged(spec))),
    refused: names(databases.filter((spec) => mine(spec) && served(spec) && !canBeExchanged(spec))),
  };
}

const served = (spec: DatabaseSpec) => pathOf(spec) === undefined;

function lines({ run, check, writes, touches }: OperationSpec, parts: Awaited<ReturnType<typeof partsOf>>): string[] {
  const list = (names: string[]) => names.join(', ') || 'nothing';
  const held = writes === 'held';
  const how = check ? ('http' in check ? check.http : check.command.argv.join(' ')) : "the application's own health";
  return [
    `  check       ${how}, before and after`,
    `  capture     ${held ? 'once the application is stopped' : 'in a short stop'}; stored as a safety snapshot when it is up again`,
    `  operation   ${run.argv.join(' ')}, ended after ${formatDuration(run.timeoutMs)}`,
    `  meanwhile   ${held ? 'the application is stopped, from the capture to the check' : 'the application runs, and visitors write'}`,
    `  on failure  ${held ? 'rolled back before the application starts' : 'a person decides: holdfast approve'}`,
    `  back comes  ${list(parts.rolledBack)}`,
    ...(parts.linked.length > 0
      ? [`  linked      ${list(parts.linked)}: files there must not be written in place`]
      : []),
    ...(touches ? [`  stays       ${list(parts.notRolledBack)}`] : []),
    ...(parts.inServers.length > 0
      ? [`  loaded      ${list(parts.inServers)}: once more, beside the live one, before the operation begins`]
      : []),
    ...(parts.refused.length > 0
      ? [`  REFUSED     ${list(parts.refused)}: nothing here could load what was dumped of it`]
      : []),
  ];
}
