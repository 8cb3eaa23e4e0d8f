import { join } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import { formatBytes } from '../../src/core/durations.js';
import type { Manifest, Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { Plan, RepositorySpec } from '../../src/core/plan.js';
import { restoreText } from '../../src/core/restore-text.js';
import type { CaptureInput, Stored, StoreInput } from '../api.js';
import { compare } from '../capture/compare.js';
import { exists } from '../capture/copy.js';
import { inTurn } from '../capture/in-turn.js';
import { MANIFEST, RESTORE_TEXT, stagingOf } from '../capture/layout.js';
import { readLines } from '../capture/lines.js';
import { canLook, liveJudge } from '../capture/live.js';
import { outermost } from '../capture/places.js';
import { readManifest, seal } from '../capture/seal.js';
import { cacheDir, withWorkDir } from '../capture/workdir.js';
import { checks as appChecks } from '../checks/index.js';
import type { BackupRequest, Stored as EngineStored } from '../contracts.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { writeDurable } from '../site/durable.js';
import { once } from '../site/journal.js';
import { type PlannedEnv, planned } from '../step.js';
import { pulled } from './pull.js';
import { canRead, repositoryOf } from './repository-of.js';

/** Stores the capture in one repository. A repeat adopts what an earlier attempt stored, if that equals the manifest. */
export const store = (deps: Deps) =>
  planned<StoreInput, Stored>(deps, 'store', async (input, env) => {
    const { plan, ctx } = env;
    const repository = repositoryOf(plan, input.repository, ctx);
    if (plan.pull) return pulled(input, repository, plan.pull, env);
    // Where others are ready, the run began without this one.
    await engines[repository.engine].accepts?.(repository, plan, ctx);
    const manifest = await inTurn(input.captureId, () => prepareCapture(input, env));
    // A run that was reset begins with a first attempt again, beside one that has not learnt yet that its run is gone:
    // one after the other, and the journal tells what was begun and what is done.
    const stored = await inTurn(`${input.captureId} ${repository.name}`, () =>
      once(deps.state, plan.site, input.captureId, `store-${repository.name}`, async () => {
        const me = `${env.holder.firstRunId} ${env.attempt}`;
        const first = await once(deps.state, plan.site, input.captureId, `begin-${repository.name}`, async () => me);
        const adopted = first === me ? undefined : await adopt(repository, manifest, env);
        return adopted ?? (await backup(repository, manifest, env));
      }),
    );
    const file = (relative: string) => join(manifest.staging, relative);
    await appChecks[plan.app]?.afterStore?.({ manifest, plan, file }, ctx);
    const { snapshot, bytes, addedBytes, files } = stored;
    return {
      said: `${shortId(snapshot)}: ${files} files, ${formatBytes(bytes)}, ${formatBytes(addedBytes)} new`,
      snapshot,
      bytes,
      addedBytes,
      files,
    };
  });

/** The capture of this run, completed once the application runs again. */
export async function prepareCapture(input: CaptureInput, env: PlannedEnv): Promise<Manifest> {
  const { plan, ctx, deps } = env;
  const { captureId } = await readManifest(join(stagingOf(deps.state, plan.site), MANIFEST)).catch(() => ({
    captureId: undefined,
  }));
  // Before the seal: a run that is over must not complete another one's capture by its own plan.
  if (captureId !== input.captureId) {
    throw ctx.fail('SnapshotMissing', 'the capture of this run is not in the staging area any more', {
      advice: 'start the backup again',
    });
  }
  const manifest = await seal(deps.state, plan, ctx);
  // Once: another repository's engine may be reading the staging directory by now.
  const text = join(manifest.staging, RESTORE_TEXT);
  if (!(await exists(text))) await writeDurable(text, textFor(manifest, plan));
  return manifest;
}

function textFor(manifest: Manifest, plan: Plan): string {
  const ways = plan.repositories.map((repository) => ({
    repository,
    commands: engines[repository.engine].restoreCommands(repository, manifest),
  }));
  return restoreText(manifest, ways, plan.afterRestore);
}

async function backup(
  repository: RepositorySpec,
  manifest: Manifest,
  { plan, ctx, deps }: PlannedEnv,
): Promise<EngineStored> {
  const engine = engines[repository.engine];
  const text = textFor(manifest, { ...plan, repositories: [repository] });
  const request: BackupRequest = {
    ...(await pathsOf(plan, manifest)),
    manifest,
    runId: manifest.runId,
    kind: manifest.kind,
    workDir: await cacheDir(deps.state, repository.name),
  };
  const stored = await engine.backup(repository, request, ctx);
  await engine
    .leaveNote(repository, `RESTORE-${plan.siteId}.md`, text, ctx)
    .catch((error: Error) => ctx.note(`RESTORE.md could not be left beside ${repository.name}: ${error.message}`));
  return stored;
}

/** What the engine reads: the staging directory, whole trees by their root, and the files of other sets one by one. */
async function pathsOf(
  plan: Plan,
  manifest: Manifest,
): Promise<Pick<BackupRequest, 'paths' | 'exclude' | 'files' | 'live'>> {
  const paths = [manifest.staging];
  const exclude: string[] = [];
  const files: string[] = [];
  const setOf = (entry: Manifest['fileSets'][number]) =>
    entry.where === 'staged' ? undefined : plan.fileSets.find(({ name }) => name === entry.name);
  const wholes = manifest.fileSets.flatMap((entry) => {
    const set = setOf(entry);
    return set && set.include.length === 0 ? [set.root] : [];
  });
  for (const entry of manifest.fileSets) {
    if (entry.where === 'staged') continue;
    const set = setOf(entry);
    // An engine leaves out what matches, whoever named it: not what a set leaves to another one, which is read with it then.
    const below = () =>
      set?.exclude
        .map((pattern) => join(set.root, pattern))
        .filter((path) => !wholes.includes(path.replaceAll(/\\(.)/g, '$1'))) ?? [];
    if (set && set.include.length === 0) {
      if (!wholes.some((root) => root !== set.root && isWithin(set.root, root))) paths.push(set.root);
      exclude.push(...below());
    } else if (set?.change === 'live') {
      // By their directories: what appears meanwhile belongs to the set too, and names that no list can hold.
      for (const path of await outermost(join(manifest.staging, entry.list))) files.push(join(entry.root, path));
      exclude.push(...below());
    } else {
      for await (const text of readLines(join(manifest.staging, entry.list))) {
        const line = JSON.parse(text) as { p: string; t: string };
        if (line.t !== 'd') files.push(join(entry.root, line.p));
      }
    }
  }
  const live = manifest.fileSets.filter((entry) => entry.live).map(({ root }) => root);
  return {
    paths,
    exclude,
    ...(files.length > 0 ? { files: [...paths, ...files] } : {}),
    ...(live.length ? { live } : {}),
  };
}

/** A source that counted as empty would look as if it had shrunk, or hide that it has. */
function bytesOf({ databases, fileSets }: Manifest): number {
  return [...databases, ...fileSets].reduce((sum, { bytes }) => sum + bytes, 0);
}

function filesOf({ databases, fileSets }: Manifest): number {
  return databases.length + fileSets.reduce((sum, { files }) => sum + files, 0);
}

/** What an earlier attempt of this capture left: taken when it is whole, removed when it is not. */
async function adopt(
  repository: RepositorySpec,
  manifest: Manifest,
  { plan, ctx, deps }: PlannedEnv,
): Promise<EngineStored | undefined> {
  const engine = engines[repository.engine];
  const left = (await engine.list(repository, plan.siteId, ctx)).filter(
    (snapshot) => snapshot.captureId === manifest.captureId,
  );
  let adopted: EngineStored | undefined;
  const surplus: string[] = [];
  for (const snapshot of left) {
    const whole =
      adopted === undefined && snapshot.complete && (await equals(repository, snapshot, manifest, { plan, ctx, deps }));
    if (whole)
      adopted = { snapshot, bytes: snapshot.bytes ?? bytesOf(manifest), addedBytes: 0, files: filesOf(manifest) };
    else surplus.push(snapshot.id);
  }
  if (surplus.length > 0) await engine.forget(repository, surplus, ctx);
  if (adopted) ctx.note(`${repository.name}: took over what an earlier attempt had stored`);
  return adopted;
}

/** Without its key only the engine's own mark of completeness can tell. */
async function equals(
  repository: RepositorySpec,
  snapshot: Snapshot,
  manifest: Manifest,
  { plan, ctx, deps }: Pick<PlannedEnv, 'plan' | 'ctx' | 'deps'>,
): Promise<boolean> {
  if (!canRead(repository)) return true;
  return withWorkDir(deps.state, async (dir) => {
    const contents = engines[repository.engine].contents(repository, snapshot.id, ctx);
    const judge = liveJudge(manifest, plan, true);
    const found = await compare(manifest, manifest.staging, contents, dir, ctx, judge.take);
    const lived = judge.end(found);
    // Where nothing can be explained, storing it again is safer than to take it over.
    const alive = canLook(manifest, plan)
      ? lived.unexplained.length + lived.broken.length
      : lived.changed + lived.vanished;
    return found.missing + found.changed + alive === 0;
  });
}
