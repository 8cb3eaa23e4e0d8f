import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { FileLine, type Manifest } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import type { StepResult } from '../../src/core/report.js';
import type { SwapInput } from '../api.js';
import { noteAside } from '../aside.js';
import { ABOUT, inSite, siteIn } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { MANIFEST } from '../capture/layout.js';
import { readLines } from '../capture/lines.js';
import { readManifest } from '../capture/seal.js';
import { databases } from '../databases/index.js';
import type { Deps } from '../deps.js';
import type { UndoStep } from '../site/api.js';
import { type PlannedEnv, planned } from '../step.js';
import { asideTree, besideTree, runTag } from './fetch-place.js';

/** One exchange: what is live goes aside, and what was fetched takes its place. A sidecar has nothing that takes its place. */
interface Exchange {
  live: string;
  aside: string;
  incoming?: string;
  /** What an application may write beside it once it runs. */
  sidecars: string[];
}

/**
 * Puts the live state aside and the restored one in place, by renames alone. The undo list is on disk before the first of
 * them; each runs under the site's lock at this epoch. Sidecars go first: a stale WAL beside a restored database is replayed into it.
 */
export const swap = (deps: Deps) =>
  planned<SwapInput, StepResult>(deps, 'swap', async (input, env) => {
    const { plan, guard, holder, ctx } = env;
    const run = runTag(holder);
    const site = siteIn(besideTree(plan.root, run));
    const manifest = await readManifest(join(site, ABOUT, MANIFEST));
    const aside = asideTree(plan.root, run);
    const exchanges = await exchangesOf(manifest, site, aside, plan, input.only);
    await noteAside(deps.state, plan.site, { path: aside, at: new Date().toISOString(), snapshot: input.snapshot });
    const record = await guard.read();
    if (record.undo.length === 0) await guard.addUndo(input.epoch, undoOf(exchanges), ctx);
    for (const exchange of exchanges) await carryOut(exchange, input.epoch, env);
    const names = [...manifest.databases, ...manifest.fileSets]
      .map(({ name }) => name)
      .filter((name) => input.only?.includes(name) ?? true);
    return { said: `${names.join(', ')} swapped in; the state from before is kept for 7 days` };
  });

async function exchangesOf(
  manifest: Manifest,
  site: string,
  aside: string,
  plan: Plan,
  only: readonly string[] | undefined,
): Promise<Exchange[]> {
  const exchanges: Exchange[] = [];
  const wanted = (name: string) => only?.includes(name) ?? true;
  const add = (path: string, incoming: boolean, sidecars: string[] = []) => {
    const live = onHost(path, manifest, plan);
    exchanges.push({
      sidecars: sidecars.map((each) => onHost(each, manifest, plan)),
      live,
      aside: join(aside, below(plan.root, live)),
      ...(incoming ? { incoming: inSite(site, manifest, path) } : {}),
    });
  };
  for (const { name, kind, path } of manifest.databases) {
    if (!wanted(name)) continue;
    const sidecars = databases[kind as keyof typeof databases].sidecars(path);
    for (const sidecar of sidecars) add(sidecar, false);
    add(path, true, sidecars);
  }
  for (const entry of manifest.fileSets) {
    if (!wanted(entry.name)) continue;
    const spec = plan.fileSets.find(({ name }) => name === entry.name);
    if (spec && spec.include.length === 0 && spec.exclude.length === 0) add(entry.root, true);
    else {
      for await (const text of readLines(join(site, ABOUT, entry.list))) {
        const line = FileLine.parse(JSON.parse(text));
        if (line.t !== 'd') add(join(entry.root, line.p), true);
      }
    }
  }
  return exchanges;
}

/** A path of the manifest on this host: the site may have another root now. */
function onHost(path: string, manifest: Manifest, plan: Plan): string {
  const inside = relative(manifest.root, path);
  return inside.startsWith('..') ? path : join(plan.root, inside);
}

function below(root: string, path: string): string {
  const inside = relative(root, path);
  return inside.startsWith('..') ? join('outside', path) : inside;
}

/**
 * Replayed backwards: what the restored application left beside its database is cleared away, the restored state goes back to
 * where it was fetched to, then the state from before comes back.
 */
function undoOf(exchanges: readonly Exchange[]): UndoStep[] {
  return exchanges.flatMap(({ live, aside, incoming, sidecars }): UndoStep[] => {
    const back: UndoStep = { kind: 'rename', from: live, to: aside, aside: `${aside}.rejected` };
    if (incoming === undefined) return [back];
    const clear = sidecars.map(
      (path): UndoStep => ({ kind: 'clear', path, to: `${aside}.${basename(path)}.rejected`, unless: incoming }),
    );
    return [back, { kind: 'rename', from: incoming, to: live }, ...clear];
  });
}

/** Each half is skipped where it has been done: a repeat goes on where the first attempt ended. */
async function carryOut({ live, aside, incoming }: Exchange, epoch: number, { guard, ctx }: PlannedEnv): Promise<void> {
  const comes = incoming !== undefined && (await exists(incoming));
  if ((comes || incoming === undefined) && (await exists(live)) && !(await exists(aside))) {
    await mkdir(dirname(aside), { recursive: true });
    await guard.commit(epoch, live, aside, ctx);
  }
  if (!comes) return;
  await mkdir(dirname(live), { recursive: true });
  await guard.commit(epoch, incoming, live, ctx);
}
