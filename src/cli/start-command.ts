import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import type { RunHandle } from '../client/start.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { addressOf } from './sites.js';
import { temporalOptions, withTemporal } from './temporal.js';

type Start = (client: Client, address: string, call: Call) => Promise<RunHandle>;

/** A command that starts a run on a site and follows it; `options` adds its own. */
export function startCommand(
  program: Command,
  cli: Cli,
  name: string,
  about: string,
  options: (command: Command) => Command,
  start: Start,
  /** Answers without a run, where it can: `--dry-run`. */
  instead: (call: Call) => Promise<ExitCode | undefined> = async () => undefined,
): void {
  options(temporalOptions(cli.command(program, name, about)).argument('<site>', 'the site; site@host for another host'))
    .option('--detach', 'start it and return at once')
    .action(cli.action(async (call) => (await instead(call)) ?? startAndFollow(call, start)));
}

async function startAndFollow(call: Call, start: Start): Promise<ExitCode> {
  const address = await addressOf(call, call.args[0] ?? '');
  return withTemporal(call, async (client) => {
    const handle = await start(client, address, call);
    if (call.options.detach === true) {
      call.say(handle.workflowId);
      call.emit({ workflowId: handle.workflowId, runId: handle.firstExecutionRunId, exitCode: EXIT.completed });
      return EXIT.completed;
    }
    call.say(`${handle.workflowId} (Ctrl-C detaches)`);
    const { follow } = await import('./follow.js');
    return follow(call, client, handle);
  });
}

/** For an option that may be given several times, or as a list with commas. */
export function list(value: string, before: string[] = []): string[] {
  return [...before, ...value.split(',').map((part) => part.trim())];
}

/** The options that were given, under the names of the workflow's input. */
export function given(call: Call, names: Record<string, string>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(names).flatMap(([option, field]) => {
      const value = call.options[option];
      return value === undefined ? [] : [[field, value]];
    }),
  );
}
