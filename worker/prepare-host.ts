import { localContext } from '../activities/local-context.js';
import { recoverAll } from '../activities/site/recover.js';
import { openState } from '../activities/site/state.js';
import { watchdogAlive } from '../activities/site/watchdog-status.js';
import { spawnWatchdog } from './spawn-watchdog.js';

/**
 * What a host needs before a worker of it connects: every application that a predecessor left down comes back, and a
 * watchdog runs. `say` gets one line for each thing that was done.
 */
export async function prepareHost(stateDir: string, host: string, say: (line: string) => void): Promise<void> {
  const state = await openState(stateDir);
  for (const { site, said } of await recoverAll(state, await localContext('recover', { stateDir, host })))
    say(`${site}: ${said}`);
  if (await watchdogAlive(state)) return;
  spawnWatchdog(stateDir);
  say('no watchdog ran on this host: one was started; after a reboot only its own service brings it back');
}
