import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Asked, AskInput } from '../api.js';
import { ABOUT, inSite, siteIn } from '../capture/arrange.js';
import { changesSince } from '../capture/changes.js';
import { MANIFEST, stagingOf } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { walk } from '../capture/walk.js';
import type { Deps } from '../deps.js';
import { notifyAll } from '../notify/index.js';
import { once } from '../site/journal.js';
import { type PlannedEnv, planned } from '../step.js';
import { besideTree, homeOf, runTag } from './fetch-place.js';

/**
 * Tells people that a guarded change waits for them, and says what is newer than the state from before. The site is given
 * back meanwhile: a decision may take days, and backups of what runs now must go on.
 */
export const ask = (deps: Deps) =>
  planned<AskInput, Asked>(deps, 'ask', async (input, env) => {
    const { plan, ctx, guard, holder } = env;
    const changes = input.running === 'after' ? await newer(env) : [];
    const { workflowId, workflow } = holder;
    const { said } = input;
    const told = await once(deps.state, plan.site, holder.firstRunId, 'asked', () =>
      notifyAll(plan.notify, 'failed', { said, site: plan.site, host: deps.host, workflowId, workflow }, ctx),
    );
    for (const note of told) ctx.note(note);
    await rm(stagingOf(deps.state, plan.site), { recursive: true, force: true });
    await guard.release(holder, ctx);
    return { said: `asked what to do: ${said}`, changes };
  });

async function newer({ plan, ctx, holder }: PlannedEnv): Promise<string[]> {
  const site = siteIn(besideTree(await homeOf(plan), plan, runTag(holder)));
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
