import { statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { Context } from '../activities/contracts.js';
import type { SiteRecord, StateDir } from '../activities/site/api.js';
import { bringUp } from '../activities/site/application.js';
import { ensureUp, expired, isDown } from '../activities/site/ensure-up.js';
import { isRunning } from '../activities/site/health.js';
import { bootClock, bootId } from '../activities/site/marks.js';
import { readRecord, updateRecord } from '../activities/site/record.js';
import { endSection } from '../activities/site/strays.js';
import { bringUpWithoutState } from '../activities/site/without-state.js';

export interface WatchdogEvent {
  at: string;
  site?: string;
  what: 'started' | 'ended' | 'strays' | 'revoked' | 'up' | 'down' | 'restarted' | 'unreadable';
  said: string;
}

type Tell = (event: Omit<WatchdogEvent, 'at'>) => Promise<void>;

/** One site under watch. */
export interface SiteWatch {
  /** Looks once; long work goes on beside it, one at a time. */
  tick(): Promise<void>;
  settled(): Promise<void>;
}

/** One attempt to bring the application up; then a pause that doubles. */
const ATTEMPT_MS = 120_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** How often an application that was just brought up is looked at. */
const LOOK_MS = 500;

/** Tells a file from what replaces it; empty where there is none. What a broken disk answers is a mark, too: the record is as good as lost. */
function markOf(path: string): string {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found ? `${found.ino} ${found.mtimeNs} ${found.size}` : '';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

export function createSiteWatch(state: StateDir, site: string, ctx: Context, tell: Tell): SiteWatch {
  const paths = state.site(site);
  let record: SiteRecord | undefined;
  /** Gone, or no record any more, in the middle of a section: what it said last is all that anybody knows. */
  let lost = false;
  let seen = '';
  let acked = -1;
  let work: Promise<void> | undefined;
  let failures = 0;
  let notBefore = 0;

  const reread = async (): Promise<void> => {
    const mark = markOf(paths.record);
    if (mark === seen) return;
    seen = mark;
    const before = record;
    record = undefined;
    try {
      record = mark ? await readRecord(paths, site) : undefined;
    } catch (error) {
      await tell({ site, what: 'unreadable', said: (error as Error).message });
    }
    lost = record === undefined && before !== undefined && isDown(before);
    if (lost) record = before;
  };

  /** No claim can be made of a record that is not there. */
  const bringUpLost = async (last: SiteRecord): Promise<void> => {
    if (last.undo.length > 0) throw ctx.fail('StateUnusable', `the way back of ${site} is lost with its record`);
    await endSection(state, paths.fenceLock).catch(() => {});
    await bringUpWithoutState(last, ATTEMPT_MS, ctx);
    lost = false;
    record = undefined;
  };

  const acknowledge = async ({ epoch }: SiteRecord): Promise<void> => {
    if (acked === epoch) return;
    await writeFile(`${paths.ack}.new`, `${epoch}\n`, { mode: 0o600 });
    await rename(`${paths.ack}.new`, paths.ack);
    acked = epoch;
  };

  const untold = async (epoch: number): Promise<boolean> => {
    const now = await readRecord(paths, site).catch(() => undefined);
    return now === undefined || (isDown(now) && now.epoch === epoch);
  };

  const recover = async (last: SiteRecord, why: string): Promise<void> => {
    const { epoch } = last;
    const began = performance.now();
    await tell({ site, what: 'revoked', said: `epoch ${epoch}: ${why}; the application is brought up` });
    try {
      const started = lost
        ? await bringUpLost(last).then(() => true)
        : (await ensureUp(state, site, 'recover', { epoch, withinMs: ATTEMPT_MS, why }, ctx)).started;
      failures = 0;
      // It runs, and the record cannot be told: asked again and again, its start would be all that this machine does.
      if (await untold(epoch)) notBefore = performance.now() + LONGEST_PAUSE_MS;
      const took = Math.round(performance.now() - began);
      await tell({ site, what: 'up', said: started ? `healthy after ${took} ms` : 'somebody else brought it up' });
    } catch (error) {
      if (ctx.signal.aborted) return;
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures++, LONGEST_PAUSE_MS);
      notBefore = performance.now() + pause;
      await tell({ site, what: 'down', said: `${(error as Error).message} (again in ${pause} ms)` });
    }
  };

  /** A stop command that was killed may have asked for a stop that comes only now. */
  const lookAgain = async ({ services, prior = {}, epoch, lookUntil = 0 }: SiteRecord): Promise<void> => {
    notBefore = performance.now() + LOOK_MS;
    const unchanged = async (): Promise<boolean> => {
      const now = await readRecord(paths, site);
      return now.epoch === epoch && !isDown(now);
    };
    if (bootClock() >= lookUntil) {
      await updateRecord(paths, site, (now) => {
        if (now.epoch !== epoch || isDown(now)) return undefined;
        const { prior: _, lookUntil: __, ...rest } = now;
        return rest;
      });
      return;
    }
    const runs = await Promise.all(services.map((spec) => isRunning(spec, prior[spec.name] ?? [], ctx)));
    if (runs.every(Boolean) || !(await unchanged())) return;
    await tell({ site, what: 'restarted', said: 'the application was stopped by a late stop; it is started again' });
    const go = async (): Promise<void> => {
      if (!(await unchanged())) throw ctx.fail('SectionRevoked', `${site} was stopped by another section`);
    };
    await bringUp(services, prior, ATTEMPT_MS, go, ctx);
  };

  const begin = (task: Promise<void>): void => {
    work = task
      .catch((error: Error) => tell({ site, what: 'down', said: error.message }))
      .finally(() => {
        work = undefined;
      });
  };

  const look = (now: SiteRecord): void => {
    if (work || performance.now() < notBefore) return;
    const why = lost ? 'its record is lost' : isDown(now) ? expired(now) : undefined;
    if (why) begin(recover(now, why));
    else if (!isDown(now) && now.lookUntil !== undefined) begin(lookAgain(now));
  };

  return {
    async tick() {
      await reread();
      if (!record) return;
      const now = record;
      const armed = !lost && now.phase === 'stopped' && now.bootId === bootId();
      // Where that cannot be written, nothing new is stopped; what is down comes up all the same.
      await (armed ? acknowledge(now) : Promise.resolve()).finally(() => look(now));
    },
    settled: async () => {
      await work;
    },
  };
}
