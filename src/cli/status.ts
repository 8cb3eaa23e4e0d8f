import { resolve } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Command } from 'commander';
import { stateDirectory } from '../client/state-directory.js';
import type { Call, Cli } from './context.js';
import { loadConfig, localSite, thisHost } from './sites.js';
import { temporalOptions, whereOf } from './temporal.js';

export function register(program: Command, cli: Cli): void {
  temporalOptions(cli.command(program, 'status', 'what is stored, verified and proven, and what is not'))
    .argument('[site]', 'only this one')
    .option(
      '--state-dir <dir>',
      'where this host keeps its reports (default: HOLDFAST_STATE_DIR, else the usual place)',
    )
    .addHelpText('after', '\nExit codes: 0 safe, 1 at risk, 6 down, 7 cannot tell')
    .action(cli.action(status));
}

async function status(call: Call): Promise<number> {
  const named = call.args[0];
  const { config, site } = named ? await localSite(call, named) : { config: await loadConfig(call), site: undefined };
  const [{ gatherStatus }, { statusExit, statusModel }, { renderStatus }] = await Promise.all([
    import('../client/status-gather.js'),
    import('../client/status-model.js'),
    import('../client/status-render.js'),
  ]);
  const gather = (client?: Client) =>
    gatherStatus(config, { dir: stateDirOf(call), host: thisHost(call), client, site });
  const { value, away } = await withOrWithoutTemporal(call, gather);
  const now = call.cli.now();
  const model = statusModel(value, { now, ...(away ? { temporalAway: away } : {}) });
  const timezone = config.defaults?.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  for (const line of renderStatus(model, { now, timezone })) call.say(line);
  const exitCode = statusExit(model);
  call.emit({ at: now.toISOString(), ...model, exitCode });
  return exitCode;
}

/** `--state-dir`, else as the worker has it. */
export function stateDirOf(call: Call): string {
  const { stateDir } = call.options;
  return typeof stateDir === 'string' ? resolve(call.cli.cwd, stateDir) : stateDirectory(call.cli.env);
}

/** With Temporal where it answers; else without, and why. What these commands show has to be seen when it is away, too. */
export async function withOrWithoutTemporal<T>(
  call: Call,
  use: (client?: Client) => Promise<T>,
): Promise<{ value: T; away?: string }> {
  const { connect, resolveWhere } = await import('../client/connect.js');
  const { isTemporalAway } = await import('./explain-error.js');
  const away = `${resolveWhere(whereOf(call)).address}`;
  let client: Client | undefined;
  try {
    client = await connect(whereOf(call));
    const connected = client;
    return { value: await connected.withDeadline(Date.now() + 15_000, () => use(connected)) };
  } catch (error) {
    if (!isTemporalAway(error)) throw error;
    return { value: await use(), away };
  } finally {
    await client?.connection.close();
  }
}
