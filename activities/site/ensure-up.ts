import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { isFailure } from '../../src/core/failures.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';
import { DEADLINE_MS, type SiteRecord, type StateDir, type Up } from './api.js';
import { bringUp, endOlder } from './application.js';
import { assertStopped } from './assert-stopped.js';
import { dropBallast } from './ballast.js';
import { fenceOf, raiseEpoch, replayUndo } from './fence.js';
import { bootClock, bootId, liveness, ownMark } from './marks.js';
import { readEpoch, readRecord, type SitePaths, updateRecord } from './record.js';
import { endSection, endStrays } from './strays.js';
import { bringUpWithoutState, isStateGone } from './without-state.js';

/*
 * The way up, for everybody. What holds at every instruction, whoever is killed or frozen there:
 *
 * 1. The record is replaced whole, durable, by compare and change under a lock that a dead process cannot keep and a frozen one loses.
 * 2. `stopped`, with `prior` and the services, is durable before anything is stopped; `prior` goes only after the application was healthy.
 *    So from any cut point the record alone says what to start.
 * 3. Who brings the application up has claimed the record: its epoch went up by one, `worker` and `deadline` are the claimant's.
 *    A claim lives as long as its process and its renewed deadline. Two claimants have different epochs; the higher one counts.
 * 4. Tools of the section run under the fence lock, at its epoch. The claimant raises the epoch file under that same lock, after ending
 *    what holds it: from then on nothing of the section runs or can begin. Only then undo is replayed, and only then is anything started.
 * 5. Undo runs under the fence at the claimant's epoch, so a claimant that was frozen and superseded cannot move a file late. Each step
 *    looks at what is there; the list is emptied, durable, before the start, because a replay after it could move live data away.
 * 6. No undo is replayed while the application may run: a recoverer with undo entries stops it first and asserts that.
 * 7. A claimant that finds the epoch beyond its own does nothing more: it watches until the application is up.
 * 8. Where state was exchanged (undo entries), what had been started before is not the application: it has files open that lie aside, or none.
 *    The exchange ends with nothing running, and a process that shows only then, older than the start, is stopped and started anew.
 */

export interface UpOptions {
  epoch?: number | undefined;
  withinMs: number;
  why?: string;
  deadlineMs?: number;
}

const RENEW_PART = 6;
const OBSERVE_MS = 50;
/** The section's own tools have ended when its holder finishes it; a stray of an earlier attempt gets so long. */
const PATIENCE_SECONDS = 2;

/** Why whoever works at this record has no say any more: its process ended, or it lapsed. */
export function expired(record: SiteRecord): string | undefined {
  const gone = record.worker && record.worker.bootId === bootId() && liveness(record.worker) === 'dead';
  return gone ? `its worker (pid ${record.worker?.pid}) is gone` : lapsed(record);
}

/** Why the section is over although its worker may live: another boot, or a deadline that has passed. */
export function lapsed(record: SiteRecord): string | undefined {
  if (record.bootId !== bootId()) return 'the machine was started anew';
  const now = bootClock();
  if (record.deadline === undefined || now >= record.deadline) return 'its worker gave no sign of life';
  if (record.cap !== undefined && now >= record.cap) return 'limits.downtime is spent';
  return undefined;
}

/** Whether the application may be down. */
export const isDown = (record: SiteRecord): boolean => record.phase === 'stopped' || record.phase === 'revoked';

/** See SiteGuard.ensureUp. */
export async function ensureUp(
  state: StateDir,
  site: string,
  mode: 'finish' | 'recover',
  options: UpOptions,
  ctx: Context,
): Promise<Up> {
  const paths = state.site(site);
  const end = performance.now() + options.withinMs;
  const deadlineMs = options.deadlineMs ?? DEADLINE_MS;
  for (;;) {
    ctx.signal.throwIfAborted();
    const claimed = await claim(paths, site, mode, { ...options, deadlineMs }).catch(async (error) => {
      if (isStateGone(error)) return upAllTheSame(state, site, mode, error, end, ctx);
      // A dump that filled the disk must not keep the application down. Its writers first, or they take what the ballast leaves.
      if (error.code !== 'ENOSPC') throw error;
      await endSection(state, paths.fenceLock);
      await dropBallast(paths);
      return claim(paths, site, mode, { ...options, deadlineMs });
    });
    if ('up' in claimed) return claimed.up;
    // Up already; or up meanwhile, and stopped again by a section that is none of our business.
    if ('record' in claimed && (!isDown(claimed.record) || claimed.foreign)) return report(claimed.record, false);
    const left = end - performance.now();
    if ('mine' in claimed) {
      try {
        return await work(state, site, claimed, { ...options, withinMs: Math.max(0, left), deadlineMs }, ctx);
      } catch (error) {
        if (!isFailure(error, 'SectionRevoked') || left <= 0) throw error;
      }
    } else if (left <= 0) {
      throw ctx.fail('NotHealthy', `${site} is still being brought up by pid ${claimed.record.worker?.pid}`);
    }
    ctx.beat();
    await sleep(OBSERVE_MS, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

/** Nothing can be claimed, and the application must not wait for that; the record is settled by whoever can write it again. */
async function upAllTheSame(
  state: StateDir,
  site: string,
  mode: 'finish' | 'recover',
  error: unknown,
  end: number,
  ctx: Context,
): Promise<{ up: Up }> {
  const paths = state.site(site);
  const record = await readRecord(paths, site);
  // Also what finishes: whoever recovers later would take the restored state away, with what was written on it meanwhile.
  if (!isDown(record) || record.undo.length > 0) throw error;
  if (mode === 'recover') await endSection(state, paths.fenceLock).catch(() => {});
  await bringUpWithoutState(record, Math.max(0, end - performance.now()), ctx);
  return { up: report({ ...record, upAt: new Date().toISOString() }, true) };
}

/** A call of this process, and the claim that it works at; no epoch is 0. */
interface Call {
  record: string;
  epoch: number;
}

/** Calls of this process that work at a claim, or write one: its mark alone cannot tell them apart. */
const working = new Set<Call>();

async function claim(
  paths: SitePaths,
  site: string,
  mode: 'finish' | 'recover',
  options: UpOptions & { deadlineMs: number },
): Promise<{ mine: SiteRecord; call: Call } | { record: SiteRecord; foreign: boolean }> {
  let foreign = false;
  // Where a record was lost or put back, the tools' epoch may be ahead of it: a claim must be above both.
  const used = await readEpoch(paths);
  // Before anybody can read the record: to another call of this process a claim at which nobody works yet looks like a leftover.
  const call = { record: paths.record, epoch: 0 };
  working.add(call);
  const record = await updateRecord(paths, site, (now) => {
    call.epoch = 0;
    foreign = false;
    if (!isDown(now)) return undefined;
    const finishing = mode === 'finish' && now.phase === 'stopped';
    const ours = finishing && (options.epoch === now.epoch || options.epoch === now.finishes);
    // Two of a kind: one works, the other watches. A recovery overrides a finish that has not come to its end.
    const busy = now.phase === 'revoked' || (finishing && now.finishes !== undefined);
    const owned = busy && !expired(now) && !isLeftover(now, paths);
    // Decided on an older record: what is to be done for that one is done, or is being done.
    const stale = mode === 'finish' ? finishing && !ours : (options.epoch ?? now.epoch) !== now.epoch;
    foreign = stale && now.phase === 'stopped' && now.finishes === undefined;
    if (owned || foreign || (stale && !expired(now))) return undefined;
    const { cap: _, finishes: __, ...rest } = now;
    call.epoch = Math.max(now.epoch, used) + 1;
    return {
      ...rest,
      phase: ours ? 'stopped' : 'revoked',
      epoch: call.epoch,
      worker: ownMark(),
      bootId: bootId(),
      deadline: bootClock() + options.deadlineMs,
      ...(ours ? { finishes: now.finishes ?? now.epoch } : { revokedFor: now.revokedFor ?? options.why ?? 'recovery' }),
    };
  }).catch((error) => {
    working.delete(call);
    throw error;
  });
  if (call.epoch > 0) return { mine: record, call };
  working.delete(call);
  return { record, foreign };
}

/** Whether a claim is of this process, and no call of it works at it any more. */
function isLeftover({ worker, epoch }: SiteRecord, paths: SitePaths): boolean {
  const own = worker !== undefined && worker.pid === process.pid && isDeepStrictEqual(worker, ownMark());
  return own && ![...working].some((call) => call.record === paths.record && call.epoch === epoch);
}

/** Does what a claim is for; throws SectionRevoked where another claim has come meanwhile. */
async function work(
  state: StateDir,
  site: string,
  { mine: claimed, call }: { mine: SiteRecord; call: Call },
  options: UpOptions & { deadlineMs: number },
  ctx: Context,
): Promise<Up> {
  const paths = state.site(site);
  const { epoch, services: specs, prior = {} } = claimed;
  const change = (next: (record: SiteRecord) => SiteRecord) =>
    updateRecord(paths, site, (now) => {
      if (now.epoch !== epoch || !isDown(now)) throw ctx.fail('SectionRevoked', `${site} was taken over`);
      return next(now);
    });
  const renewal = setInterval(() => {
    change((now) => ({ ...now, deadline: bootClock() + options.deadlineMs })).catch(() => {});
  }, options.deadlineMs / RENEW_PART);
  try {
    // The stop of a frozen attempt that a later one has overtaken would end what is about to be started.
    const strays =
      claimed.phase === 'revoked'
        ? await endSection(state, paths.fenceLock)
        : await endStrays(state, ({ lockFile }) => lockFile === paths.fenceLock);
    await dropBallast(paths);
    await raiseEpoch(state, paths, epoch, PATIENCE_SECONDS, ctx);
    if (claimed.phase === 'revoked' && claimed.undo.length > 0) {
      await stopAll(claimed, ctx);
      await replayUndo(fenceOf(paths, epoch), claimed.undo, ctx);
      await change((now) => ({ ...now, undo: [] }));
    }
    const since = exchanged(claimed) ? bootClock() : undefined;
    const go = async (): Promise<void> => {
      const now = await readRecord(paths, site);
      if (now.epoch !== epoch) throw ctx.fail('SectionRevoked', `${site} was taken over`);
      if (since !== undefined) await endOlder(specs, since, ctx);
    };
    await bringUp(specs, prior, options.withinMs, go, ctx);
    return report(await change((now) => up(now, strays.length > 0)), true);
  } catch (error) {
    // A finish is asked for again within the deadline: a watchdog that came first would replay the undo of an application
    // that is merely slow. A recovery that gives up leaves the rest to the watchdog at once.
    const patience = claimed.phase === 'stopped' && !ctx.signal.aborted ? options.deadlineMs : 0;
    const said = error instanceof Error && isFailure(error) ? error.message : undefined;
    const failed = said === undefined ? {} : { failed: { at: new Date().toISOString(), said } };
    if (!isFailure(error, 'SectionRevoked'))
      await change((now) => ({ ...now, ...failed, deadline: bootClock() + patience })).catch(() => {});
    throw error;
  } finally {
    clearInterval(renewal);
    working.delete(call);
  }
}

/** Whether state was exchanged since the application was stopped, and this claim is the first to start it: a later one finds its start. */
function exchanged({ phase, undo, finishes, epoch }: SiteRecord): boolean {
  return undo.length > 0 && (phase === 'revoked' || finishes === epoch - 1);
}

/** The record after a healthy start. `prior` stays while a stop that was killed may still take effect (`late`). */
function up(now: SiteRecord, late: boolean): SiteRecord {
  const { deadline, cap, worker, finishes, prior = {}, lookUntil = 0, bootId: _, failed: __, ...rest } = now;
  const phase = now.holder ? 'held' : 'idle';
  const next: SiteRecord = { ...rest, phase, undo: [], upAt: new Date().toISOString() };
  if (now.phase === 'revoked' || late)
    return { ...next, bootId: bootId(), prior, lookUntil: bootClock() + now.stopTimeoutMs };
  const pending = bootClock() < lookUntil ? { bootId: bootId(), prior, lookUntil } : {};
  return { ...next, ...pending, ...(worker ? { worker } : {}) };
}

/** Stops what may run of the application, as well as that goes, and makes sure that it does not. */
async function stopAll(record: SiteRecord, ctx: Context): Promise<void> {
  for (const spec of record.services) {
    const units = record.prior?.[spec.name] ?? [];
    await services[spec.kind].stop(spec, units, ctx).catch((error) => {
      if (!isFailure(error)) throw error;
      ctx.note(error.message);
    });
  }
  await assertStopped(
    record.services,
    record.undo.flatMap((step) => ('spec' in step ? [] : step.kind === 'rename' ? step.from : step.path)),
    ctx,
  );
}

function report(record: SiteRecord, started: boolean): Up {
  return {
    upAt: record.upAt ?? new Date().toISOString(),
    started,
    ...(record.downAt === undefined ? {} : { downAt: record.downAt }),
    ...(record.revokedFor === undefined ? {} : { revokedFor: record.revokedFor }),
  };
}
