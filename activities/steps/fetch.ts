import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { Manifest, Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import { livesElsewhere, type RepositorySpec } from '../../src/core/plan.js';
import type { Fetched, FetchInput } from '../api.js';
import { arrange, moveTo } from '../capture/arrange.js';
import { asStored, partsIn, placesOfParts, wantedIn } from '../capture/as-stored.js';
import { changesSince } from '../capture/changes.js';
import { compare, listRestored } from '../capture/compare.js';
import { exists } from '../capture/copy.js';
import { fetchStaging, stagingIn } from '../capture/fetch-staging.js';
import { LISTS, MANIFEST, stagingOf } from '../capture/layout.js';
import { sha256Of } from '../capture/lines.js';
import { takeDatabasesOf } from '../capture/older-databases.js';
import { stagingBelow } from '../capture/restored.js';
import { readManifest } from '../capture/seal.js';
import { cacheDir, withWorkDir } from '../capture/workdir.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { spaceFor } from '../preflight/space.js';
import { once } from '../site/journal.js';
import { watchdogKnows } from '../site/watchdog-knows.js';
import { type PlannedEnv, planned, type Said } from '../step.js';
import { noteTree, removeTree } from '../trees.js';
import { mustBeMade, mustBeRenames, mustShareDisk } from './exchanges.js';
import { asideTree, fetchPlace, homeOf, runTag } from './fetch-place.js';
import { oursOf, swapsOf } from './later.js';
import { mustBeOf, noneHere, outOfReach, reaches } from './origin.js';
import { findSnapshot, newest } from './repository-of.js';
import { servedOf, stageServed, taggedOf } from './served.js';

/** Fetches a snapshot to where it is wanted and compares it with its manifest; an earlier attempt's tree is removed first. */
export const fetch = (deps: Deps) =>
  planned<FetchInput, Fetched>(deps, 'fetch', (input, env) => {
    // A directory that appeared is not fetched again where only the answer was lost.
    if (input.into !== 'target') return fetched(input, env);
    return once(deps.state, env.plan.site, env.holder.firstRunId, 'fetch', () => fetched(input, env));
  });

async function fetched(input: FetchInput, env: PlannedEnv): Promise<Said<Fetched>> {
  const { plan, ctx, deps } = env;
  if (input.into === 'beside') await mustShareDisk(plan, input.only, await homeOf(plan), ctx);
  const { repository, snapshot } = await choose(input, env);
  const place = await fetchPlace(input, plan, deps, env.holder, ctx);
  await noteTree(deps.state, plan.site, place.tree, env.holder);
  await removeTree(place.tree);
  // Each attempt has its own: a frozen one's engine may still write into the one before.
  const tree = `${place.tree}-${env.attempt}`;
  await mkdir(tree, { recursive: true, mode: 0o700 });
  const engine = engines[repository.engine];
  const parts = partsIn(input.only, plan);
  const limit = parts.length > 0 ? await partsOf(parts, repository, snapshot, env) : undefined;
  const bytes = limit?.bytes ?? snapshot.bytes ?? (await sizeOf(repository, snapshot, env));
  await spaceFor(place.what, tree, bytes, plan, ctx);
  const workDir = await cacheDir(deps.state, repository.name);
  const options = { workDir, ...(limit ? { paths: limit.paths } : {}) };
  const restored = await engine.restore(repository, snapshot.id, tree, options, ctx);
  const captured = await manifestIn(tree, repository, snapshot, env);
  if (captured.captureId !== snapshot.captureId)
    throw ctx.fail('SnapshotDiffers', `snapshot ${shortId(snapshot)} holds another capture than its tags say`);
  mustBeOf(captured, input, plan, ctx);
  const stored = await asStored(captured, tree, { repository, snapshot, parts }, env);
  const older =
    input.databaseSnapshot === undefined
      ? undefined
      : await choose({ ...input, snapshot: input.databaseSnapshot }, env);
  const manifest = older ? await takeDatabasesOf(older, stored, tree, env) : stored;
  const only = wantedIn(manifest, input.only);
  namesParts(manifest, only, ctx);
  const compared = await withWorkDir(deps.state, (dir) => check(manifest, tree, dir, snapshot, env));
  const changes = input.into === 'beside' ? await changesSince(manifest, plan, only, ctx) : [];
  const site = await arrange(manifest, tree, only, ctx);
  if (input.into === 'beside') {
    const aside = asideTree(dirname(tree), plan, runTag(env.holder));
    await mustBeMade(manifest, site, only, ctx);
    await mustBeRenames(await swapsOf(manifest, site, aside, plan, only, oursOf(deps)), dirname(tree), ctx);
    const run = runTag(env.holder);
    const served = servedOf(manifest, site, plan, only, ctx);
    await watchdogKnows(
      served.map(({ spec }) => spec),
      deps.state,
      ctx,
    );
    await noteTree(deps.state, plan.site, place.tree, env.holder, taggedOf(served, run));
    await stageServed(served, run, ctx);
  }
  const at = place.final ?? plan.root;
  if (input.into !== 'scratch' && at !== manifest.root)
    await appChecks[plan.app]?.relocated?.({ tree: site, at, manifest, plan }, ctx);
  if (input.into === 'beside') for (const line of plan.afterRestore ?? []) ctx.note(`then run: ${line}`);
  // Else a power cut after the swap would leave empty files behind their names.
  await ctx.run('sync', ['-f', tree]);
  if (place.final) await moveTo(place.final, tree);
  else await rename(tree, place.tree);
  return {
    said: `${compared} entries, ${formatBytes(restored.bytes)}, as in the manifest${older ? `; databases of ${shortId(older.snapshot)}` : ''}${input.into === 'target' ? `: they lie in ${input.target}, below restore.root` : ''}`,
    snapshot,
    ...(older ? { databaseSnapshot: older.snapshot } : {}),
    repository: repository.name,
    capturedAt: manifest.capturedAt,
    changes,
    bytes: restored.bytes,
  };
}

/** What of a snapshot holds the parts asked for: its lists say it. */
async function partsOf(parts: string[], repository: RepositorySpec, snapshot: Snapshot, env: PlannedEnv) {
  return withWorkDir(env.deps.state, async (dir) => {
    const staging = await fetchStaging(repository, snapshot, [MANIFEST, LISTS], join(dir, 'lists'), env);
    const manifest = await readManifest(join(staging, MANIFEST));
    const { paths, bytes } = await placesOfParts(manifest, staging, parts, env.plan, env.ctx);
    return { paths: [manifest.staging, ...paths], bytes };
  });
}

/** A name that the snapshot does not have would restore nothing, and say that it went well. */
function namesParts(manifest: Manifest, only: readonly string[] | undefined, ctx: PlannedEnv['ctx']): void {
  const known = [...manifest.databases, ...manifest.fileSets].map(({ name }) => name);
  const unknown = only?.filter((name) => !known.includes(name)) ?? [];
  if (unknown.length > 0)
    throw ctx.fail('RestoreRefused', `the snapshot has no part ${unknown.join(', ')}`, {
      advice: `name one of ${known.join(', ')}`,
    });
}

/** restic tells a snapshot's size only from 0.17 on. */
async function sizeOf(repository: RepositorySpec, snapshot: Snapshot, { ctx }: PlannedEnv): Promise<number> {
  let bytes = 0;
  for await (const { size } of engines[repository.engine].contents(repository, snapshot.id, ctx)) bytes += size;
  return bytes;
}

/** The repository that was named, or else the first one that has the snapshot; `latest` is the newest of all that answer. */
async function choose(input: FetchInput, env: PlannedEnv): Promise<{ repository: RepositorySpec; snapshot: Snapshot }> {
  const { plan, ctx } = env;
  const candidates: { repository: RepositorySpec; snapshot: Snapshot }[] = [];
  const failures: unknown[] = [];
  for (const repository of plan.repositories) {
    if (input.repository !== undefined && repository.name !== input.repository) continue;
    const within = reaches(repository, plan);
    if (!within && input.repository === undefined) continue;
    if (!within && livesElsewhere(repository, plan.host)) throw outOfReach(repository, ctx);
    try {
      const snapshot = await findSnapshot(repository, input.snapshot, env, input.known);
      if (snapshot) candidates.push({ repository, snapshot });
    } catch (error) {
      ctx.signal.throwIfAborted();
      failures.push(error);
    }
  }
  const best = newest(candidates.map(({ snapshot }) => snapshot));
  const chosen = candidates.find(({ snapshot }) => snapshot.capturedAt === best?.capturedAt);
  if (chosen) return chosen;
  throw failures[0] ?? (await noneHere(input, plan, ctx));
}

async function manifestIn(
  tree: string,
  repository: RepositorySpec,
  snapshot: Snapshot,
  env: PlannedEnv,
): Promise<Manifest> {
  const here = join(tree, stagingOf(env.deps.state, env.plan.site), MANIFEST);
  if (await exists(here)) return readManifest(here);
  const there = await stagingIn(repository, snapshot, env);
  if (there && (await exists(join(tree, there, MANIFEST)))) return readManifest(join(tree, there, MANIFEST));
  throw env.ctx.fail('SnapshotDiffers', `${shortId(snapshot)} in ${repository.name} holds no manifest`);
}

/** Every file is there with its kind and size, and every database has its hash. */
async function check(
  manifest: Manifest,
  tree: string,
  workDir: string,
  snapshot: Snapshot,
  { ctx }: PlannedEnv,
): Promise<number> {
  const id = shortId(snapshot);
  const staging = stagingBelow(manifest, tree);
  for (const entry of manifest.databases) {
    for (const { file, sha256 } of [entry, ...(entry.also ?? [])]) {
      const path = join(staging, file);
      if (!(await exists(path)) || (await sha256Of(path)) !== sha256)
        throw ctx.fail('SnapshotDiffers', `database ${entry.name} of snapshot ${id} is not what was captured`, {
          details: { places: [file] },
        });
    }
  }
  const found = await compare(
    manifest,
    staging,
    listRestored(manifest, staging, (path) => join(tree, path)),
    workDir,
    ctx,
  );
  if (found.missing + found.changed > 0) {
    const places = [...found.missingPaths, ...found.changedPaths].slice(0, 20);
    throw ctx.fail(
      'SnapshotDiffers',
      `snapshot ${id}: ${found.missing} files missing, ${found.changed} of another size: ${places[0] ?? ''}`,
      { details: { places } },
    );
  }
  return found.compared;
}
