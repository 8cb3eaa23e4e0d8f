import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Context } from '../contracts.js';
import type { StateDir } from './api.js';
import { ensureUp, expired, isDown } from './ensure-up.js';
import { readRecord } from './record.js';
import { endStrays } from './strays.js';

/** Names of all sites that this state directory has a record of. */
export function knownSites(state: StateDir): string[] {
  try {
    return readdirSync(join(state.root, 'sites'));
  } catch {
    return [];
  }
}

export interface Recovered {
  site: string;
  up: boolean;
  said: string;
}

/**
 * What a worker does at boot, before it connects: ends programs that its predecessor left behind and brings up every application whose
 * section has expired (dead worker, another boot, deadline). Never throws: what does not come up within `withinMs` is the watchdog's.
 */
export async function recoverAll(state: StateDir, ctx: Context, withinMs = 60_000): Promise<Recovered[]> {
  await endStrays(state);
  const results = await Promise.all(
    knownSites(state).map(async (site): Promise<Recovered | undefined> => {
      try {
        const record = await readRecord(state.site(site), site);
        const why = isDown(record) ? expired(record) : undefined;
        if (!why) return undefined;
        const { upAt } = await ensureUp(state, site, 'recover', { epoch: record.epoch, withinMs, why }, ctx);
        return { site, up: true, said: `brought up at ${upAt}: ${why}` };
      } catch (error) {
        return { site, up: false, said: (error as Error).message };
      }
    }),
  );
  return results.filter((each) => each !== undefined);
}
