import { join } from 'node:path';
import type { Manifest, Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Verified, VerifyInput } from '../api.js';
import { compareKept, type Differences, keepListing } from '../capture/compare.js';
import { exists } from '../capture/copy.js';
import { fetchStaging } from '../capture/fetch-staging.js';
import { DATABASES, LISTS, MANIFEST } from '../capture/layout.js';
import { sha256Of } from '../capture/lines.js';
import { canLook, hasLive, livedText, liveJudge, mustBeAlive, recordOfLived } from '../capture/live.js';
import { readManifest } from '../capture/seal.js';
import { withWorkDir } from '../capture/workdir.js';
import { checks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { type PlannedEnv, planned } from '../step.js';
import { canRead, findSnapshot, NEWEST, repositoryOf } from './repository-of.js';
import { nextPart } from './rotation.js';
import { verifyLive } from './verify-live.js';

/**
 * Verifies a snapshot: its databases and lists are read back from the repository and hashed, its listing equals the manifest,
 * and the engine's own check passes on a part of the data that rotates.
 */
export const verify = (deps: Deps) =>
  planned<VerifyInput, Verified>(deps, 'verify', async (input, env) => {
    const { plan, ctx } = env;
    const repository = repositoryOf(plan, input.repository, ctx);
    const snapshot = input.known ?? (await findSnapshot(repository, input.snapshot ?? NEWEST, env));
    if (!snapshot) throw ctx.fail('SnapshotMissing', `${repository.name} has no snapshot of ${plan.site}`);
    const compared = canRead(repository)
      ? await withWorkDir(deps.state, (dir) => readBack(repository, snapshot, dir, env))
      : undefined;
    const part = await nextPart(deps.state, plan.site, repository.name);
    const checked = await engines[repository.engine].check(repository, input.depth, part, ctx);
    const { said: live, ...damage } = await verifyLive(input, env);
    const shares = { structure: 'no data', sample: `share ${part.n} of ${part.of}`, full: 'all data' };
    const read = `${shares[input.depth]} read`;
    return compared === undefined
      ? {
          said: `${checked.said}; only its key could read more, and that is not on this host${live}`,
          snapshot,
          level: 'stored',
          read,
          ...damage,
        }
      : {
          said: `${compared} entries as in the manifest, databases read back; ${checked.said}${live}`,
          snapshot,
          level: 'verified',
          read,
          ...damage,
        };
  });

async function readBack(repository: RepositorySpec, snapshot: Snapshot, dir: string, env: PlannedEnv): Promise<number> {
  const { ctx } = env;
  const engine = engines[repository.engine];
  const names = [MANIFEST, LISTS, DATABASES, ...(checks[env.plan.app]?.referencesRead ?? [])];
  // Side by side: most of either is an engine that opens its repository. Both end before their directory is cleared.
  const [fetched, kept] = await Promise.allSettled([
    fetchStaging(repository, snapshot, names, join(dir, 'restored'), env),
    keepListing(engine.contents(repository, snapshot.id, ctx), dir, ctx),
  ]);
  if (fetched.status === 'rejected') throw fetched.reason;
  const restored = fetched.value;
  const manifest = await readManifest(join(restored, MANIFEST));
  // Its tags name a capture: another one's content under them is no copy of it.
  if (manifest.captureId !== snapshot.captureId)
    throw ctx.fail('SnapshotDiffers', `snapshot ${shortId(snapshot)} holds another capture than its tags say`);
  await hashes(manifest, restored, snapshot, env);
  if (kept.status === 'rejected') throw kept.reason;
  if (!hasLive(manifest)) {
    const found = await compareKept(manifest, restored, dir, ctx);
    await judge(found, manifest, restored, snapshot, env);
    return found.compared;
  }
  const record = recordOfLived(env.deps.state, env.plan.site, repository.name, snapshot);
  const known = await record.read();
  const look = known === undefined && canLook(manifest, env.plan);
  const lives = liveJudge(manifest, env.plan, look);
  const found = await compareKept(manifest, restored, dir, ctx, lives.take);
  await judge(found, manifest, restored, snapshot, env);
  const lived = lives.end(found);
  if (known && known.sha256 !== lived.sha256)
    throw ctx.fail(
      'SnapshotDiffers',
      `snapshot ${shortId(snapshot)} holds other files than when it was first verified`,
    );
  mustBeAlive(lived, snapshot, ctx);
  if (!known) await record.write(lived);
  const text = livedText(lived);
  if (text) ctx.note(look || known ? text : `${text}, as far as this host can tell: the files are on ${manifest.host}`);
  return found.compared;
}

async function hashes(manifest: Manifest, restored: string, snapshot: Snapshot, { ctx }: PlannedEnv): Promise<void> {
  const files = [
    ...manifest.databases.flatMap(({ file, sha256, also = [] }) => [{ file, sha256 }, ...also]),
    ...manifest.fileSets.map(({ list, listSha256 }) => ({ file: list, sha256: listSha256 })),
    ...manifest.fileSets.flatMap(({ attributes }) => attributes ?? []),
  ];
  for (const { file, sha256 } of files) {
    const path = join(restored, file);
    if (!(await exists(path)) || (await sha256Of(path)) !== sha256) {
      throw ctx.fail('SnapshotDiffers', `${file} in snapshot ${shortId(snapshot)} is not what was captured`);
    }
  }
}

/**
 * Files that vanished while they were stored are told apart: those that the captured database refers to make the backup
 * bad, others the application has deleted since. Files that changed meanwhile are said.
 */
async function judge(
  found: Differences,
  manifest: Manifest,
  restored: string,
  snapshot: Snapshot,
  { plan, ctx }: PlannedEnv,
): Promise<void> {
  if (found.missing === 0 && found.changed === 0) return;
  const id = shortId(snapshot);
  const places = [...found.missingPaths, ...found.changedPaths];
  for (const path of found.missingPaths) {
    // A file of another host cannot be looked at from here: the database says whether it should be there.
    if (!plan.of && (await exists(path)))
      throw ctx.fail('SnapshotDiffers', `${found.missing} files are missing in snapshot ${id}`, {
        details: { places },
      });
  }
  if (found.missing > found.missingPaths.length)
    throw ctx.fail('SnapshotDiffers', `${found.missing} files are missing in snapshot ${id}`, { details: { places } });
  // Beyond those that are named, nobody could say whether the database refers to them.
  if (found.changed > found.changedPaths.length)
    throw ctx.fail('SnapshotDiffers', `${found.changed} files in snapshot ${id} have another size`, {
      details: { places },
    });
  const gone = new Set(places);
  const references = checks[plan.app]?.references;
  for await (const path of references?.({ manifest, plan, file: (relative) => join(restored, relative) }, ctx) ?? []) {
    if (gone.has(path))
      throw ctx.fail(
        'FilesVanished',
        `snapshot ${id} lacks or has another state of a file that its database refers to`,
        { details: { places: [path] } },
      );
  }
  if (found.missing > 0)
    ctx.note(
      `${found.missing} files were deleted while they were stored; no row of the captured database refers to them`,
    );
  if (found.changed > 0)
    ctx.note(`${found.changed} files changed while they were stored: ${found.changedPaths.slice(0, 3).join(', ')}`);
}
