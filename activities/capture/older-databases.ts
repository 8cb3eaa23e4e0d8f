import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Manifest, Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { writeDurable } from '../site/durable.js';
import type { PlannedEnv } from '../step.js';
import { exists } from './copy.js';
import { fetchStaging } from './fetch-staging.js';
import { DATABASES, MANIFEST } from './layout.js';
import { sha256Of } from './lines.js';
import { stagingBelow } from './restored.js';
import { readManifest } from './seal.js';
import { withWorkDir } from './workdir.js';

/**
 * Puts the databases of another snapshot in place of a fetched tree's own: an older dump on newer data, where the newest dump does
 * not fit (seed of Seafile: "you can still use an older one"). Returns the manifest of both, which the tree holds from then on.
 */
export async function takeDatabasesOf(
  { repository, snapshot }: { repository: RepositorySpec; snapshot: Snapshot },
  manifest: Manifest,
  tree: string,
  env: PlannedEnv,
): Promise<Manifest> {
  const { ctx, deps } = env;
  const id = shortId(snapshot);
  return withWorkDir(deps.state, async (dir) => {
    const from = await fetchStaging(repository, snapshot, [MANIFEST, DATABASES], join(dir, 'restored'), env);
    const other = await readManifest(join(from, MANIFEST));
    if (other.captureId !== snapshot.captureId)
      throw ctx.fail('SnapshotDiffers', `snapshot ${id} holds another capture than its tags say`);
    if (other.app !== manifest.app || other.root !== manifest.root)
      throw ctx.fail('RestoreRefused', `snapshot ${id} is of a site at another place than the files`, {
        advice: 'name a snapshot from after the site was moved',
      });
    for (const { name, file, sha256, also = [] } of other.databases)
      for (const each of [{ file, sha256 }, ...also])
        if (!(await exists(join(from, each.file))) || (await sha256Of(join(from, each.file))) !== each.sha256)
          throw ctx.fail('SnapshotDiffers', `database ${name} of snapshot ${id} is not what was captured`);
    const staging = stagingBelow(manifest, tree);
    await rm(join(staging, DATABASES), { recursive: true, force: true });
    // Not a rename: the work directory may lie on another disk.
    await ctx.run('cp', ['-a', '--', join(from, DATABASES), join(staging, DATABASES)]);
    const { captureId, capturedAt, databases } = other;
    const both: Manifest = { ...manifest, databases, databasesOf: { captureId, capturedAt } };
    await writeDurable(join(staging, MANIFEST), `${JSON.stringify(both, null, 1)}\n`);
    return both;
  });
}
