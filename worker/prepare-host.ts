import { sweepWork } from '../activities/capture/workdir.js';
import { localContext } from '../activities/local-context.js';
import type { StateDir } from '../activities/site/api.js';
import { recoverAll } from '../activities/site/recover.js';
import { openState } from '../activities/site/state.js';
import { watchdogAlive } from '../activities/site/watchdog-status.js';
import { spawnWatchdog } from './spawn-watchdog.js';

/**
 * What a host needs before a worker of it connects: every application that a predecessor left down comes back, what it was working on
 * is removed, and a watchdog runs. `say` gets one line for each thing that was done.
 */
export async function prepareHost(stateDir: string, host: string, say: (line: string) => void): Promise<void> {
  const state = await openState(stateDir);
  for (const { site, said } of await recoverAll(state, await localContext('recover', { stateDir, host })))
    say(`${site}: ${said}`);
  await sweepWork(state);
  await seeToWatchdog(state, say);
}

const LOOK_MS = 10_000;

/** Looks for the watchdog as long as the worker runs: one that has died since is started again. Returns how to end that. */
export async function keepWatchdog(stateDir: string, say: (line: string) => void): Promise<() => void> {
  const state = await openState(stateDir);
  const look = setInterval(() => {
    seeToWatchdog(state, say).catch((error: Error) => say(`the watchdog cannot be looked for: ${error.message}`));
  }, LOOK_MS);
  return () => clearInterval(look);
}

async function seeToWatchdog(state: StateDir, say: (line: string) => void): Promise<void> {
  if (await watchdogAlive(state)) return;
  spawnWatchdog(state.root);
  say('no watchdog ran on this host: one was started; after a reboot only its own service brings it back');
}
