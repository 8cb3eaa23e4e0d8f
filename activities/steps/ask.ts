import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Asked, AskInput } from '../api.js';
import { noteAside, readAsides } from '../aside.js';
import { ABOUT, inSite, siteIn } from '../capture/arrange.js';
import { changesSince } from '../capture/changes.js';
import { exists } from '../capture/copy.js';
import { MANIFEST, stagingOf } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { walk } from '../capture/walk.js';
import type { Deps } from '../deps.js';
import { cannotReturn, readWayBack } from '../guarded/way-back.js';
import { notifyAll } from '../notify/index.js';
import { once } from '../site/journal.js';
import { type PlannedEnv, planned } from '../step.js';
import { noteTree } from '../trees.js';
import { besideTree, homeOf, runTag } from './fetch-place.js';

/**
 * Tells people that a guarded change waits for them, and says what is newer than the state from before. The site is given
 * back meanwhile: a decision may take days, and backups of what runs now must go on.
 */
export const ask = (deps: Deps) =>
  planned<AskInput, Asked>(deps, 'ask', async (input, env) => {
    const { plan, ctx, guard, holder } = env;
    const changes = input.running === 'after' ? await newer(input, env).catch(unseen) : [];
    await keepForAWeek(input, env);
    const { workflowId, workflow } = holder;
    const { said } = input;
    const told = await once(deps.state, plan.site, holder.firstRunId, 'asked', () =>
      notifyAll(plan.notify, 'failed', { said, site: plan.site, host: deps.host, workflowId, workflow }, ctx),
    );
    for (const note of told) ctx.note(note);
    // A repeat, or a second question: another run may have the site by now, and its capture lies there.
    if ((await guard.read()).holder?.firstRunId === holder.firstRunId)
      await rm(stagingOf(deps.state, plan.site), { recursive: true, force: true });
    await guard.release(holder, ctx);
    const lost = input.running === 'before' ? await beyondReach(input, env) : undefined;
    return { said: `asked what to do: ${said}`, changes, ...(lost === undefined ? {} : { lost }) };

    function unseen(): string[] {
      ctx.signal.throwIfAborted();
      ctx.note('nobody could see what is newer than the state from before');
      return [];
    }
  });

/** Both states count as left behind after a week or so, from when they were made: the week to decide in begins now. */
async function keepForAWeek({ changeId }: AskInput, { plan, deps, holder }: PlannedEnv): Promise<void> {
  const tree = besideTree(await homeOf(plan), plan, runTag({ firstRunId: changeId }));
  if (!(await exists(siteIn(tree)))) return;
  await noteTree(deps.state, plan.site, tree, holder);
  const { aside } = await readWayBack(siteIn(tree));
  const known = (await readAsides(deps.state, plan.site)).find(({ path }) => path === aside);
  if (known) await noteAside(deps.state, plan.site, { ...known, at: new Date().toISOString() });
}

/** A database in a server is brought back to where it was, and no further: its names say which tables were there before. */
async function beyondReach({ changeId }: AskInput, { plan }: PlannedEnv): Promise<string | undefined> {
  const tree = besideTree(await homeOf(plan), plan, runTag({ firstRunId: changeId }));
  const way = await readWayBack(siteIn(tree)).catch(() => undefined);
  return way && way.databases.length > 0 ? cannotReturn(way) : undefined;
}

async function newer({ changeId }: AskInput, { plan, ctx }: PlannedEnv): Promise<string[]> {
  const site = siteIn(besideTree(await homeOf(plan), plan, runTag({ firstRunId: changeId })));
  const manifest = await readManifest(join(site, ABOUT, MANIFEST));
  const fileSets = [];
  for (const entry of manifest.fileSets) {
    const spec = plan.fileSets.find(({ name }) => name === entry.name);
    let files = 0;
    const root = inSite(site, manifest, entry.root);
    for await (const line of walk({ root, include: spec?.include ?? [], exclude: spec?.exclude ?? [] }, () => {})) {
      if (line.t === 'f' && ++files % 1000 === 0) ctx.beat();
    }
    fileSets.push({ ...entry, files });
  }
  return changesSince({ ...manifest, fileSets }, plan, undefined, ctx);
}
