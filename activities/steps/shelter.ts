import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Manifest } from '../../src/core/manifest.js';
import type { OperationSpec } from '../../src/core/plan.js';
import type { StepResult } from '../../src/core/report.js';
import type { ShelterInput } from '../api.js';
import { noteAside } from '../aside.js';
import { siteIn } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { MANIFEST, stagingOf } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import type { Fence } from '../contracts.js';
import type { Deps } from '../deps.js';
import { operationOf } from '../guarded/operation.js';
import { makeShelter, servedBy, shelterServed, touches } from '../guarded/shelter-tree.js';
import { readWayBack, undoOf, wayBack, writeWayBack } from '../guarded/way-back.js';
import { syncDirectory, writeDurable } from '../site/durable.js';
import { type PlannedEnv, planned } from '../step.js';
import { noteTree, removeAttempts } from '../trees.js';
import { exchangesOf, mustBeRenames } from './exchanges.js';
import { besideTree, homeOf, rolledBackTree, runTag } from './fetch-place.js';

/** Says which section's capture a shelter was made of. */
const CAPTURE = 'capture';

/** There as long as no later attempt has cleared a shelter away in the making. */
const BEGUN = 'begun';

/** $1 the shelter's place, $2 this attempt's, $3 the file that tells the capture: one of an earlier section makes room, one of this section stays. */
const PLACE = `
! cmp -s -- "$1/$3" "$2/$3" || exit 0
[ -e "$2/$4" ] || exit 1
[ ! -e "$1" ] || mv -T -- "$1" "$2-before" || exit 1
exec mv -T -- "$2" "$1"`;

/** A sweep gets the names that stay as arguments: whoever recovers must never fail for their number. */
const MOST_NAMES_BYTES = 500_000;

/**
 * Puts a copy of all that the operation may change beside the site, to be brought back by renames alone. With writes held its
 * undo list is on disk before the operation begins: whoever recovers the section brings this state back before any start.
 */
export const shelter = (deps: Deps) =>
  planned<ShelterInput, StepResult>(deps, 'shelter', async (input, env) => {
    const { plan, guard, ctx } = env;
    const operation = operationOf(plan, input.operation, ctx);
    const section = input.epoch === undefined ? undefined : await guard.section(input.epoch, ctx);
    const said = 'the way back lies beside the site';
    if (input.undo && (await guard.read()).undo.length > 0) return { said };
    const run = runTag({ firstRunId: input.changeId });
    const home = await homeOf(plan);
    const tree = besideTree(home, plan, run);
    const capture = await readManifest(join(stagingOf(deps.state, plan.site), MANIFEST));
    if (capture.captureId !== input.captureId)
      throw ctx.fail('SnapshotMissing', 'the capture of this run is not in the staging area any more', {
        advice: 'start the change again; nothing was changed',
      });
    const of = `${input.captureId} ${input.epoch ?? ''}`;
    if ((await captureOf(tree)) !== of) await make({ tree, run, of }, capture, operation, section?.fence, env);
    const way = await readWayBack(siteIn(tree));
    const at = new Date().toISOString();
    await noteAside(deps.state, plan.site, {
      ...{ path: way.aside, at, snapshot: input.captureId, kind: 'rolled-back' },
      ...(way.databases.length > 0 ? { databases: way.databases } : {}),
    });
    if (input.undo && input.epoch !== undefined) await guard.addUndo(input.epoch, undoOf(way), ctx);
    const names = [...capture.databases, ...plan.fileSets]
      .map(({ name }) => name)
      .filter((name) => touches(operation, name));
    return { said: `${said}: ${names.join(', ') || 'nothing'}` };
  });

/** Which capture a shelter was made of; undefined where there is none. */
function captureOf(tree: string): Promise<string | undefined> {
  return readFile(join(tree, CAPTURE), 'utf8').catch(() => undefined);
}

/**
 * Makes the shelter under a name of this attempt's own, and gives it its place whole. A frozen attempt that wakes finds its section's end by the
 * lock, or the same capture in place, and leaves that alone: the way back of an operation that has begun leads through there.
 */
async function make(
  { tree, run, of }: { tree: string; run: string; of: string },
  capture: Manifest,
  operation: OperationSpec,
  fence: Fence | undefined,
  env: PlannedEnv,
): Promise<void> {
  const { plan, ctx, holder, deps } = env;
  const home = dirname(tree);
  const own = randomUUID().slice(0, 8);
  const mine = `${tree}-${own}`;
  const served = servedBy(plan, operation).map((spec) => ({ spec, tag: `${run}${own}` }));
  await noteTree(deps.state, plan.site, tree, holder, served);
  await removeAttempts(tree);
  const aside = await freeAside(rolledBackTree(home, plan, run));
  await mkdir(mine, { recursive: true, mode: 0o700 });
  await writeDurable(join(mine, BEGUN), '');
  const manifest = await makeShelter(mine, capture, operation, fence, env);
  await shelterServed(served, capture, fence, ctx);
  const site = siteIn(mine);
  const exchanges = (await exchangesOf(manifest, site, aside, plan, undefined)).map((one) =>
    one.incoming === undefined ? one : { ...one, incoming: join(tree, relative(mine, one.incoming)) },
  );
  await mustBeRenames(exchanges, home, ctx);
  const ours = [tree, aside].map((path) => basename(path));
  const way = await wayBack(exchanges, plan, operation, aside, ours, served);
  const crowded = way.mixed.find(({ keep }) => keep.reduce((sum, name) => sum + name.length + 1, 0) > MOST_NAMES_BYTES);
  if (crowded)
    throw ctx.fail('RestoreRefused', `${basename(crowded.path)} holds too many entries of which some stay`, {
      advice:
        'exclude or name whole directories, or name what the operation changes in its touches; nothing was changed',
      details: { places: [crowded.path] },
    });
  await writeWayBack(site, way);
  await writeDurable(join(mine, CAPTURE), of);
  // Else a power cut after a rollback would leave empty files behind their names.
  await ctx.run('sync', ['-f', mine]);
  await ctx.run('sh', ['-c', PLACE, 'holdfast', tree, mine, CAPTURE, BEGUN], fence ? { fence } : {});
  await syncDirectory(home);
}

/** A section of this run that ended before the operation began has put the same aside: under one name nobody could tell the two. */
async function freeAside(path: string): Promise<string> {
  let free = path;
  for (let n = 1; await exists(free); n++) free = `${path}.${n}`;
  return free;
}
