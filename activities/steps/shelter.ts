import { mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { StepResult } from '../../src/core/report.js';
import type { ShelterInput } from '../api.js';
import { noteAside } from '../aside.js';
import { siteIn } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { MANIFEST, stagingOf } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import type { Deps } from '../deps.js';
import { operationOf } from '../guarded/operation.js';
import { makeShelter } from '../guarded/shelter-tree.js';
import { undoOf, wayBack, writeWayBack } from '../guarded/way-back.js';
import { syncDirectory } from '../site/durable.js';
import { planned } from '../step.js';
import { noteTree, removeTree } from '../trees.js';
import { exchangesOf, mustBeRenames } from './exchanges.js';
import { besideTree, homeOf, rolledBackTree, runTag } from './fetch-place.js';

/** A sweep gets the names that stay as arguments: whoever recovers must never fail for their number. */
const MOST_NAMES_BYTES = 500_000;

/**
 * Puts a copy of all that the operation may change beside the site, to be brought back by renames alone. With writes held its
 * undo list is on disk before the operation begins: whoever recovers the section brings this state back before any start.
 */
export const shelter = (deps: Deps) =>
  planned<ShelterInput, StepResult>(deps, 'shelter', async (input, env) => {
    const { plan, guard, ctx, holder } = env;
    const operation = operationOf(plan, input.operation, ctx);
    const section = input.epoch === undefined ? undefined : await guard.section(input.epoch, ctx);
    const said = 'the way back lies beside the site';
    if (input.undo && (await guard.read()).undo.length > 0) return { said };
    const run = runTag({ firstRunId: input.changeId });
    const home = await homeOf(plan);
    const tree = besideTree(home, plan, run);
    const aside = await freeAside(rolledBackTree(home, plan, run));
    const capture = await readManifest(join(stagingOf(deps.state, plan.site), MANIFEST));
    if (capture.captureId !== input.captureId)
      throw ctx.fail('SnapshotMissing', 'the capture of this run is not in the staging area any more', {
        advice: 'start the change again; nothing was changed',
      });
    await noteTree(deps.state, plan.site, tree, holder);
    await removeTree(tree);
    // Each attempt has its own: a frozen one may still write into the one before.
    const mine = `${tree}-${env.attempt}`;
    await mkdir(mine, { recursive: true, mode: 0o700 });
    const manifest = await makeShelter(mine, capture, operation, section?.fence, env);
    await rename(mine, tree);
    const site = siteIn(tree);
    const exchanges = await exchangesOf(manifest, site, aside, plan, undefined);
    await mustBeRenames(exchanges, home, ctx);
    const way = await wayBack(
      exchanges,
      plan,
      operation,
      aside,
      [tree, aside].map((path) => basename(path)),
    );
    const crowded = way.mixed.find(
      ({ keep }) => keep.reduce((sum, name) => sum + name.length + 1, 0) > MOST_NAMES_BYTES,
    );
    if (crowded)
      throw ctx.fail('RestoreRefused', `${basename(crowded.path)} holds too many entries of which some stay`, {
        advice:
          'exclude or name whole directories, or name what the operation changes in its touches; nothing was changed',
        details: { places: [crowded.path] },
      });
    await writeWayBack(site, way);
    // Else a power cut after a rollback would leave empty files behind their names.
    await ctx.run('sync', ['-f', tree]);
    await syncDirectory(home);
    const at = new Date().toISOString();
    await noteAside(deps.state, plan.site, { path: aside, at, snapshot: input.captureId, kind: 'rolled-back' });
    if (input.undo && input.epoch !== undefined) await guard.addUndo(input.epoch, undoOf(way), ctx);
    const names = [...manifest.databases, ...manifest.fileSets].map(({ name }) => name);
    return { said: `${said}: ${names.join(', ') || 'nothing'}` };
  });

/** A section of this run that ended before the operation began has put the same aside: under one name nobody could tell the two. */
async function freeAside(path: string): Promise<string> {
  let free = path;
  for (let n = 1; await exists(free); n++) free = `${path}.${n}`;
  return free;
}
