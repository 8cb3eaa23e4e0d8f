import { appendFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sweepWork } from '../activities/capture/workdir.js';
import type { Context } from '../activities/contracts.js';
import type { StateDir } from '../activities/site/api.js';
import { knownSites } from '../activities/site/recover.js';
import { openState } from '../activities/site/state.js';
import { endStrays } from '../activities/site/strays.js';
import { writeStatus } from '../activities/site/watchdog-status.js';
import { createContext } from '../activities/tools/context.js';
import { holdLock } from '../activities/tools/lock.js';
import { resolveSecret } from '../src/config/secrets.js';
import { failure } from '../src/core/failures.js';
import { createSiteWatch, type SiteWatch, type WatchdogEvent } from './watchdog-site.js';

export interface WatchdogOptions {
  stateDir?: string;
  signal: AbortSignal;
  log?: (line: string) => void;
}

/** The lock of a watchdog that was killed goes a moment after it: its successor must not take it for a second one. */
const HANDOVER_SECONDS = 3;
const TICK_MS = 50;
const STRAYS_MS = 1_000;
const STATUS_MS = 5_000;

/**
 * The resident process's loop: acknowledges each stopped section, and brings the application up when the section's worker is dead, the
 * machine was started anew, or the deadline or the cap has passed. Needs neither Temporal nor the config. Resolves when `signal` aborts;
 * throws StateUnusable where another watchdog has this state directory.
 */
export async function runWatchdog({ stateDir, signal, log = () => {} }: WatchdogOptions): Promise<void> {
  const state = await openState(stateDir);
  const lock = await holdLock(join(state.root, 'watchdog.lock'), { waitSeconds: HANDOVER_SECONDS });
  if (!lock)
    throw failure('StateUnusable', {
      step: 'watchdog',
      host: hostname(),
      what: `another watchdog runs on ${state.root}`,
      advice: 'nothing: one is enough',
    });
  const tell = async (event: Omit<WatchdogEvent, 'at'>): Promise<void> => {
    log(`${event.site ? `${event.site}: ` : ''}${event.said}`);
    const line = `${JSON.stringify({ at: new Date().toISOString(), ...event })}\n`;
    // A full disk must not keep the watchdog from its work.
    await appendFile(state.events, line, { mode: 0o600 }).catch(() => {});
  };
  const watches = new Map<string, SiteWatch>();
  const last = { strays: 0, status: 0 };
  let sweeping: Promise<void> | undefined;
  try {
    await writeStatus(state).catch((error: Error) => log(error.message));
    await tell({ what: 'started', said: `watchdog runs as pid ${process.pid}` });
    while (!signal.aborted) {
      // Also one whose directory is lost with all of the state: what was last known of it is still here.
      for (const site of new Set([...knownSites(state), ...watches.keys()])) {
        let watch = watches.get(site);
        if (!watch) {
          watch = createSiteWatch(state, site, watchdogContext(state, site, signal), tell);
          watches.set(site, watch);
        }
        // A full disk, say: the other sites, and the next look, do not suffer from it.
        await watch.tick().catch((error: Error) => log(`${site}: ${error.message}`));
      }
      const now = performance.now();
      if (now - last.strays > STRAYS_MS) {
        last.strays = now;
        const ended = await endStrays(state).catch((error: Error) => [error.message]);
        if (ended.length > 0)
          await tell({ what: 'strays', said: `ended what a dead worker left: ${ended.join(', ')}` });
      }
      if (now - last.status > STATUS_MS) {
        last.status = now;
        await writeStatus(state).catch(() => {});
        // A dead worker's copies of a database may be large: no site waits for their end.
        sweeping ??= sweepWork(state)
          .catch((error: Error) => log(error.message))
          .finally(() => {
            sweeping = undefined;
          });
      }
      await sleep(TICK_MS, undefined, { signal }).catch(() => {});
    }
    await Promise.all([...watches.values()].map((watch) => watch.settled()));
    await sweeping;
    await tell({ what: 'ended', said: 'watchdog ends' });
  } finally {
    await lock.release();
  }
}

function watchdogContext(state: StateDir, site: string, signal: AbortSignal): Context {
  return createContext({
    state,
    step: 'watchdog',
    host: hostname(),
    site,
    signal,
    log: `watchdog-${site}.log`,
    resolve: resolveSecret,
  });
}
