import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../../src/core/durations.js';
import type { Context } from '../contracts.js';
import { holdLock } from '../tools/lock.js';
import { DEADLINE_MS, type Holder, type Section, type SiteGuard, type SiteRecord, type StateDir } from './api.js';
import { observe } from './application.js';
import { takeBallast } from './ballast.js';
import { ensureUp, expired, isDown, lapsed } from './ensure-up.js';
import { commitMove, fenceOf, raiseEpoch } from './fence.js';
import { bootClock, bootId, liveness, ownMark } from './marks.js';
import { readEpoch, readRecord, type SitePaths, updateRecord } from './record.js';

/** Times of the guard, shorter in tests. */
export interface Timing {
  deadlineMs: number;
  ackMs: number;
}

const TIMING: Timing = { deadlineMs: DEADLINE_MS, ackMs: 10_000 };
/** How long a step waits for an application that somebody else, or an earlier section, left down. */
const UP_MS = 120_000;
const ACK_POLL_MS = 10;
const EPOCH_PATIENCE_SECONDS = 2;

/** The guard of one site on this host; see SiteGuard for what each call promises. */
export function openSite(state: StateDir, site: string, timing: Partial<Timing> = {}): SiteGuard {
  const { deadlineMs, ackMs } = { ...TIMING, ...timing };
  const paths = state.site(site);
  const read = (): Promise<SiteRecord> => readRecord(paths, site);
  const change = (next: (record: SiteRecord) => SiteRecord | undefined) => updateRecord(paths, site, next);
  /** Changes the record of a live section, and of no other. */
  const inSection = (epoch: number, ctx: Context, next: (record: SiteRecord) => SiteRecord) =>
    change((record) => {
      checkLive(record, epoch, ctx);
      return next(record);
    });
  const mine = () => ({ worker: ownMark(), bootId: bootId(), deadline: bootClock() + deadlineMs });
  const recover = (why: string, ctx: Context) =>
    ensureUp(state, site, 'recover', { withinMs: UP_MS, why, deadlineMs }, ctx);

  return {
    read,

    async hold(holder) {
      let held = false;
      const record = await change((now) => {
        held = now.phase === 'idle' || same(now.holder, holder);
        if (!held) return undefined;
        return isDown(now) ? { ...now, holder } : { ...now, phase: 'held', holder, worker: ownMark() };
      });
      if (held) return { held: true };
      const by = record.holder as Holder;
      return { held: false, by, phase: record.phase, expired: isGone(record), locked: await isLocked(paths) };
    },

    async takeOver(holder, ctx, from) {
      const check = (now: SiteRecord): void => {
        const other = now.holder && !same(now.holder, holder) && !(from === undefined || same(now.holder, from));
        if (other) throw ctx.fail('SiteBusy', `${site} is held by ${now.holder?.workflowId}`);
      };
      for (;;) {
        check(await read());
        await recover(`taken over by ${holder.workflowId}`, ctx);
        const record = await change((now) => {
          check(now);
          return isDown(now) ? undefined : { ...now, phase: 'held', holder, worker: ownMark() };
        });
        if (!isDown(record)) return;
      }
    },

    async arm(holder, options, ctx) {
      const before = await read();
      if (!same(before.holder, holder)) throw busy(before, site, ctx);
      const live = before.phase === 'stopped' && before.finishes === undefined && !lapsed(before);
      if (live) return toSection(paths, await inSection(before.epoch, ctx, (now) => ({ ...now, ...mine() })));
      if (isDown(before)) await recover('its section had ended', ctx);
      const prior = { ...(await observe(options.services, ctx)), ...pendingPrior(await read()) };
      await takeBallast(paths);
      const used = await readEpoch(paths);
      let previous = before;
      const armed = await change((now) => {
        if (!same(now.holder, holder)) throw busy(now, site, ctx);
        if (isDown(now)) return undefined;
        previous = now;
        const { revokedFor: _, upAt: __, failed: ___, ...rest } = now;
        return {
          ...rest,
          phase: 'stopped',
          epoch: Math.max(now.epoch, used) + 1,
          ...mine(),
          cap: bootClock() + options.capMs,
          services: options.services,
          prior,
          undo: [],
          downAt: new Date().toISOString(),
          stopTimeoutMs: Math.max(0, ...options.services.map(({ stopTimeoutMs }) => stopTimeoutMs)),
        };
      });
      if (previous.epoch === armed.epoch) throw busy(armed, site, ctx);
      try {
        await raiseEpoch(state, paths, armed.epoch, EPOCH_PATIENCE_SECONDS, ctx);
        await acknowledged(paths, armed.epoch, ackMs, ctx);
      } catch (error) {
        // Nothing was stopped yet: the record goes back, unless somebody else has it by now.
        await change((now) =>
          now.epoch === armed.epoch && isDown(now) ? { ...previous, epoch: now.epoch } : undefined,
        );
        throw error;
      }
      return toSection(paths, armed);
    },

    async section(epoch, ctx) {
      const record = await read();
      checkLive(record, epoch, ctx);
      return toSection(paths, record);
    },

    async renew(epoch, ctx) {
      await inSection(epoch, ctx, (now) => ({ ...now, ...mine() }));
    },

    async addUndo(epoch, steps, ctx) {
      await inSection(epoch, ctx, (now) => {
        const known = new Set(now.undo.map((step) => JSON.stringify(step)));
        return { ...now, undo: [...now.undo, ...steps.filter((step) => !known.has(JSON.stringify(step)))] };
      });
    },

    commit: (epoch, from, to, ctx) => commitMove(fenceOf(paths, epoch), from, to, ctx),

    ensureUp: (mode, options, ctx) => ensureUp(state, site, mode, { ...options, deadlineMs }, ctx),

    async release(holder, ctx) {
      for (;;) {
        const before = await read();
        if (!same(before.holder, holder)) return;
        if (isDown(before)) await recover('its run has ended', ctx);
        const record = await change((now) => {
          if (!same(now.holder, holder) || isDown(now)) return undefined;
          const { holder: _, worker: __, ...rest } = now;
          return { ...rest, phase: 'idle' };
        });
        if (!isDown(record)) return;
      }
    },
  };
}

function same(a: Holder | undefined, b: Holder): boolean {
  return a?.namespaceId === b.namespaceId && a.workflowId === b.workflowId && a.firstRunId === b.firstRunId;
}

/** Whether whoever holds the site gives no sign of life: outside a section nothing renews a deadline, so its worker counts. */
function isGone(record: SiteRecord): boolean {
  if (isDown(record)) return expired(record) !== undefined;
  return record.worker === undefined || liveness(record.worker) === 'dead';
}

async function isLocked(paths: SitePaths): Promise<boolean> {
  const lock = await holdLock(paths.fenceLock, { waitSeconds: 0 });
  await lock?.release();
  return lock === undefined;
}

function busy(record: SiteRecord, site: string, ctx: Context): Error {
  const who = record.holder ? `is held by ${record.holder.workflowId}` : 'is not held by this run';
  return ctx.fail('SiteBusy', `${site} ${who} (${record.phase})`);
}

function checkLive(record: SiteRecord, epoch: number, ctx: Context): void {
  const live = record.phase === 'stopped' && record.epoch === epoch && record.finishes === undefined;
  const why = live ? lapsed(record) : (record.revokedFor ?? 'it was finished');
  if (why) throw ctx.fail('SectionRevoked', `the stopped section of ${record.site} is over: ${why}`);
}

function toSection(paths: SitePaths, { epoch, prior = {}, downAt }: SiteRecord): Section {
  return { epoch, fence: fenceOf(paths, epoch), prior, downAt: downAt ?? new Date().toISOString() };
}

/** What is to be started, as an earlier section saw it: what runs now counts only once a killed stop can no longer take effect. */
function pendingPrior(record: SiteRecord): SiteRecord['prior'] {
  const pending = record.bootId === bootId() && record.lookUntil !== undefined && bootClock() < record.lookUntil;
  return pending ? record.prior : undefined;
}

/** Waits until the watchdog has seen this epoch: from then on it brings the application back, whatever becomes of us. */
async function acknowledged(paths: SitePaths, epoch: number, withinMs: number, ctx: Context): Promise<void> {
  const end = performance.now() + withinMs;
  while (Number(await readFile(paths.ack, 'utf8').catch(() => '0')) !== epoch) {
    if (performance.now() > end)
      throw ctx.fail(
        'WatchdogMissing',
        `no watchdog answered within ${formatDuration(withinMs)}, so nothing was stopped`,
      );
    await sleep(ACK_POLL_MS, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}
