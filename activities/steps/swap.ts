import { chmod, chown, lstat, mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Manifest } from '../../src/core/manifest.js';
import type { SwapInput, Swapped } from '../api.js';
import { noteAside } from '../aside.js';
import { ABOUT, inSite, siteIn } from '../capture/arrange.js';
import { wantedIn } from '../capture/as-stored.js';
import { exists } from '../capture/copy.js';
import { MANIFEST } from '../capture/layout.js';
import { sha256Of } from '../capture/lines.js';
import { readManifest } from '../capture/seal.js';
import type { Deps } from '../deps.js';
import { canBeExchanged } from '../exchanged.js';
import { sectionsOf } from '../sections.js';
import type { UndoStep } from '../site/api.js';
import { keepStopped } from '../site/assert-stopped.js';
import { replayUndo } from '../site/fence.js';
import { type PlannedEnv, planned } from '../step.js';
import { dataPaths } from './data-paths.js';
import { type Exchange, mustBeRenames } from './exchanges.js';
import { asideTree, besideTree, homeOf, runTag } from './fetch-place.js';
import { oursOf, swapsOf } from './later.js';
import { exchangeServed, mustComeBack, servedIn, servedOf, taggedOf, undoOfServed } from './served.js';

/**
 * Puts the live state aside and the restored one in place, by renames alone, of files and then of what servers hold. The undo list is on
 * disk before the first of them; each runs under the site's lock at this epoch. Sidecars go first: a stale WAL beside a restored database is replayed into it.
 */
export const swap = (deps: Deps) =>
  planned<SwapInput, Swapped>(deps, 'swap', async (input, env) => {
    const { plan, guard, holder, ctx } = env;
    const run = runTag(holder);
    const home = await homeOf(plan);
    const site = siteIn(besideTree(home, plan, run));
    // What a run fetched is its own: one that was reset to after that has another run id, and must not go on half-way.
    if (!(await exists(join(site, ABOUT, MANIFEST))))
      throw ctx.fail('RestoreFailed', 'what was fetched is not there: this run was reset', {
        advice: 'start the restore again; the state from before comes back',
      });
    const manifest = await readManifest(join(site, ABOUT, MANIFEST));
    const only = wantedIn(manifest, input.only);
    const aside = asideTree(home, plan, run);
    const record = await guard.read();
    const known = record.undo.length > 0;
    const exchanges = known ? listed(record.undo) : await swapsOf(manifest, site, aside, plan, only, oursOf(deps));
    const served = known ? servedIn(record.undo) : taggedOf(servedOf(manifest, site, plan, only, ctx), run);
    if (!known) {
      await mustBeRenames(exchanges, home, ctx);
      const sections = await sectionsOf(deps.state, plan.site, holder.firstRunId);
      if (sections.length > 1) await untouched(manifest, site, input, env);
      await mustComeBack(served, (await guard.section(input.epoch, ctx)).fence, ctx);
      await noteAside(deps.state, plan.site, {
        path: aside,
        at: new Date().toISOString(),
        snapshot: input.snapshot,
        ...(served.length > 0 ? { databases: served } : {}),
      });
      await guard.addUndo(input.epoch, [...undoOf(exchanges), ...undoOfServed(served)], ctx);
    }
    const stopped = () => keepStopped(plan.services, [...dataPaths(plan), aside], ctx);
    await stopped();
    for (const exchange of exchanges) await carryOut(exchange, input.epoch, env);
    if (served.length > 0) await exchangeServed(served, (await guard.section(input.epoch, ctx)).fence, ctx);
    await stopped();
    await clearSidecars(input.epoch, env);
    const names = manifest.fileSets.some(({ parts }) => parts)
      ? manifest.fileSets.flatMap(({ parts }) => parts ?? [])
      : [...manifest.databases, ...manifest.fileSets]
          .map(({ name }) => name)
          .filter((name) => only?.includes(name) ?? true);
    const byHand = served.map(({ spec }) => spec).filter((spec) => !canBeExchanged(spec));
    return {
      said: `${names.join(', ')} swapped in; the state from before is kept for 7 days`,
      ...(byHand.length > 0 ? { byHand: byHand.map(({ name }) => name) } : {}),
    };
  });

/**
 * A program that somebody started had opened the database of before, and its log by its path: that log holds pages of another database than
 * the restored one, which has none of its own yet.
 */
async function clearSidecars(epoch: number, { guard, ctx }: PlannedEnv): Promise<void> {
  for (const step of (await guard.read()).undo) {
    if (step.kind !== 'clear' || !(await exists(step.path))) continue;
    await replayUndo((await guard.section(epoch, ctx)).fence, [step], ctx);
    ctx.note(
      `${basename(step.path)} of a program that somebody had started was put aside: it is not the restored database's`,
    );
  }
}

/** A section that was rolled back may have had the application run on the restored database: that one is not what was captured. */
async function untouched(manifest: Manifest, site: string, { only }: SwapInput, { ctx }: PlannedEnv): Promise<void> {
  for (const { name, format, path, sha256 } of manifest.databases) {
    if (format !== 'file' || path === undefined || !(only?.includes(name) ?? true)) continue;
    if ((await sha256Of(inSite(site, manifest, path))) !== sha256)
      throw ctx.fail('RestoreFailed', `the application had run on the restored ${name} before it was taken back`, {
        advice: 'start the restore again',
      });
  }
}

/**
 * Replayed backwards: what the restored application left beside its database is cleared away, the restored state goes back to
 * where it was fetched to, then the state from before comes back.
 */
export function undoOf(exchanges: readonly Exchange[]): UndoStep[] {
  return exchanges.flatMap(({ live, aside, incoming, sidecars }): UndoStep[] => {
    const back: UndoStep = { kind: 'rename', from: live, to: aside, aside: `${aside}.rejected` };
    if (incoming === undefined) return [back];
    const clear = sidecars.map(
      (path): UndoStep => ({ kind: 'clear', path, to: `${aside}.${basename(path)}.rejected`, unless: incoming }),
    );
    return [back, { kind: 'rename', from: incoming, to: live }, ...clear];
  });
}

/** The exchanges of an undo list: a repeat carries out what an earlier attempt planned, whose tree is half empty by now. */
export function listed(undo: readonly UndoStep[]): Exchange[] {
  const exchanges: Exchange[] = [];
  for (const step of undo) {
    if (step.kind !== 'rename') continue;
    const last = exchanges.at(-1);
    if (step.aside !== undefined) exchanges.push({ live: step.from, aside: step.to, sidecars: [] });
    else if (last?.live === step.to) last.incoming = step.from;
  }
  return exchanges;
}

/** Each half is skipped where it has been done: a repeat goes on where the first attempt ended. */
export async function carryOut({ live, aside, incoming }: Exchange, epoch: number, env: PlannedEnv): Promise<void> {
  const { guard, ctx } = env;
  const comes = incoming !== undefined && (await exists(incoming));
  if ((comes || incoming === undefined) && (await exists(live))) {
    // Only a program that nobody stopped can have made it anew: it must not be lost under what comes.
    if (comes && (await exists(aside)))
      throw ctx.fail('RestoreRefused', `${basename(live)} appeared again while the application was stopped`);
    if (!(await exists(aside))) {
      await mkdir(dirname(aside), { recursive: true });
      await guard.commit(epoch, live, aside, ctx);
    }
  }
  if (!comes) return;
  await makeParents(dirname(live), dirname(incoming));
  await guard.commit(epoch, incoming, live, ctx);
}

/** Makes the directories that lack, with owner and mode of the restored ones: the application must be able to write there. */
async function makeParents(dir: string, like: string): Promise<void> {
  if (await exists(dir)) return;
  await makeParents(dirname(dir), dirname(like));
  await mkdir(dir);
  const { uid, gid, mode } = await lstat(like);
  if (process.getuid?.() === 0) await chown(dir, uid, gid);
  await chmod(dir, mode & 0o7777);
}
