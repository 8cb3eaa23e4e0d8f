import { join, relative } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import { MEDIAGIT_SETS } from '../../src/apps/mediagit.js';
import type { Plan } from '../../src/core/plan.js';
import { FILES } from '../capture/layout.js';
import type { AppChecks, Context } from '../contracts.js';
import { filesAgainstList } from './files-against-list.js';
import { moveBasePath } from './mediagit-config.js';
import { placesOf, preflightMediagit, sizes } from './mediagit-live.js';
import { checkoutChecks } from './mediagit-program.js';
import { readRefs } from './mediagit-refs.js';
import { fromRemote, preflightPush, pushMediagit } from './mediagit-remote.js';
import { lookAtLive, repairMediagit } from './mediagit-repair.js';
import { repositoryChecks } from './mediagit-rules.js';
import { ObjectStore } from './mediagit-store.js';
import { type Reached, reach } from './mediagit-walk.js';

const REFS = `${FILES}/${MEDIAGIT_SETS.refs}`;

/** All that the captured branches, tags and HEAD lead to, in the live object store. */
async function* wanted(plan: Plan, captured: string, ctx: Context): AsyncGenerator<Reached> {
  const { objects, options } = placesOf(plan);
  if (options.storage === 'cloud') return;
  const lost = new Set(options.knownLost);
  const store = await ObjectStore.open(objects);
  const roots = (await readRefs(captured)).flatMap(({ name, id }) => (id ? [{ id, of: name }] : []));
  for await (const found of reach(store, roots, ctx)) if (found.state === 'there' || !lost.has(found.id)) yield found;
}

/** By which way an object is needed, and where it would lie: its name holds the whole id. */
function placeIn({ root }: Plan, of: string, path: string): string {
  return `${of}: ${isWithin(path, root) ? relative(root, path) : path}`;
}

/** MediaGit: refs before objects, everything that they lead to, and every object by its own hash. */
export const mediagitChecks: AppChecks = {
  async preflight(plan, ctx) {
    await preflightMediagit(plan, ctx);
    await preflightPush(plan, ctx);
  },
  explain: sizes,
  referencesRead: [REFS],

  async *references({ plan, file }, ctx) {
    const broken = (await readRefs(file(REFS))).flatMap((ref) => (ref.broken ? [`${ref.name} ${ref.broken}`] : []));
    if (broken.length > 0)
      throw ctx.fail('FilesVanished', `${broken.length} refs are broken: ${broken[0]}`, {
        advice: `set or delete it, or bring it back: \`holdfast restore ${plan.site} --only refs\``,
        details: { places: broken.slice(0, 20) },
      });
    const missing: string[] = [];
    for await (const { path, state, of, id } of wanted(plan, file(REFS), ctx)) {
      // What it leads to cannot be looked for: a backup that does not know what it lacks is none.
      if (state === 'damaged')
        throw ctx.fail('FilesVanished', `object ${id.slice(0, 12)} of ${of} is damaged in the live repository`, {
          advice: `run \`holdfast repair ${plan.site}\``,
          details: { places: [path] },
        });
      if (state === 'missing') missing.push(placeIn(plan, of, path));
      yield path;
    }
    // Whoever asks for all of them finds no file either, but not which ref leads there.
    if (missing.length > 0)
      throw ctx.fail('FilesVanished', `${missing.length} objects that refs lead to are missing: ${missing[0]}`, {
        advice: `run \`holdfast repair ${plan.site}\`; what no copy has goes into options.knownLost, a ref that leads nowhere is set or deleted`,
        details: { places: missing.slice(0, 20) },
      });
  },

  /** No lock keeps gc out: what the captured refs lead to must still be there when the last object has been stored. */
  async afterStore({ plan, file }, ctx) {
    const gone: string[] = [];
    for await (const { path, state, of } of wanted(plan, file(REFS), ctx))
      if (state !== 'there') gone.push(placeIn(plan, of, path));
    if (gone.length === 0) return;
    throw ctx.fail('FilesVanished', `${gone.length} objects went while they were stored: ${gone[0]}`, {
      advice: 'keep `mediagit gc` out of the hours of a backup, and back up again',
      details: { places: gone.slice(0, 20) },
    });
  },

  async relocated({ tree, at, manifest, plan }, ctx) {
    const git = join(tree, relative(plan.root, placesOf(plan).git));
    await moveBasePath(git, manifest.root, at, ctx);
  },

  live: lookAtLive,
  push: { remotes: (plan) => placesOf(plan).options.push, run: pushMediagit },
  fromRemote: ({ plan, name, dir }, ctx) => fromRemote(plan, name, dir, ctx),
  repair: ({ plan, fetch }, ctx) => repairMediagit(plan, fetch, ctx),

  async checks(restored, ctx) {
    const found = [...(await filesAgainstList(restored, ctx)), ...(await repositoryChecks(restored, ctx))];
    return [...found, ...(await checkoutChecks(restored, ctx))];
  },
};
