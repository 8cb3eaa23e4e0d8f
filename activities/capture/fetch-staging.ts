import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { engines } from '../engines/index.js';
import type { PlannedEnv } from '../step.js';
import { wasKilled } from '../tools/killed.js';
import { exists } from './copy.js';
import { MANIFEST, stagingOf } from './layout.js';
import { cacheDir } from './workdir.js';

/**
 * Restores parts of a snapshot's staging directory below `target` and returns where that directory lies there. A snapshot of
 * another machine has another staging path: it is looked up in the listing.
 */
export async function fetchStaging(
  repository: RepositorySpec,
  snapshot: Snapshot,
  names: readonly string[],
  target: string,
  env: PlannedEnv,
): Promise<string> {
  const { ctx, deps, plan } = env;
  const engine = engines[repository.engine];
  const workDir = await cacheDir(deps.state, repository.name);
  await mkdir(target, { recursive: true, mode: 0o700 });
  const fetch = async (staging: string): Promise<string | undefined> => {
    const paths = names.map((name) => join(staging, name));
    try {
      await engine.restore(repository, snapshot.id, target, { paths, workDir }, ctx);
    } catch (error) {
      if (wasKilled(error) || !isFailure(error, 'ToolFailed', 'SnapshotMissing', 'SnapshotDiffers')) throw error;
    }
    const restored = join(target, staging);
    return (await exists(join(restored, MANIFEST))) ? restored : undefined;
  };
  const here = await fetch(stagingOf(deps.state, plan.site));
  if (here) return here;
  const there = await stagingIn(repository, snapshot, env);
  const found = there ? await fetch(there) : undefined;
  if (found) return found;
  throw ctx.fail('SnapshotDiffers', `${shortId(snapshot)} in ${repository.name} holds no manifest`);
}

/** The staging directory of a snapshot, as it was on the machine that took it. */
export async function stagingIn(
  repository: RepositorySpec,
  snapshot: Snapshot,
  { ctx }: PlannedEnv,
): Promise<string | undefined> {
  for await (const { path } of engines[repository.engine].contents(repository, snapshot.id, ctx)) {
    if (path.endsWith(`/current/${MANIFEST}`)) return path.slice(0, -MANIFEST.length - 1);
  }
  return undefined;
}
