import { join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { Manifest } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { Plan, RepositorySpec } from '../../src/core/plan.js';
import { restoreText } from '../../src/core/restore-text.js';
import type { Stored, StoreInput } from '../api.js';
import { inTurn } from '../capture/in-turn.js';
import { MANIFEST } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { cacheDir, withWorkDir } from '../capture/workdir.js';
import { engines } from '../engines/index.js';
import { rsyncFailure } from '../engines/rsync-failure.js';
import { spaceFor } from '../preflight/space.js';
import { once } from '../site/journal.js';
import type { PlannedEnv, Said } from '../step.js';
import { RSYNC_CODES, remotePath, rshOf } from '../tools/rsync.js';

type Pull = NonNullable<Plan['pull']>;

/** Stores the capture of another host: its manifest first, then the dumps, then the files that the manifest lists. */
export async function pulled(
  input: StoreInput,
  repository: RepositorySpec,
  pull: Pull,
  env: PlannedEnv,
): Promise<Said<Stored>> {
  const { plan, ctx, deps } = env;
  const engine = engines[repository.engine];
  const { snapshot, bytes, addedBytes, files } = await inTurn(`${input.captureId} ${repository.name}`, () =>
    once(deps.state, plan.site, input.captureId, `store-${repository.name}`, async () => {
      const manifest = await manifestThere(input, pull, env);
      const staged = manifest.databases.reduce((sum, database) => sum + database.bytes, 0);
      await spaceFor(`repository ${repository.name}`, repository.location, staged, plan, ctx);
      // What is there under this capture stays: nobody gets a finished tree replaced by asking for it again.
      const there = (await engine.list(repository, plan.siteId, ctx)).find(
        (each) => each.captureId === input.captureId && each.complete,
      );
      if (there) return { snapshot: there, bytes: there.bytes ?? staged, addedBytes: 0, files: filesOf(manifest) };
      const workDir = await cacheDir(deps.state, repository.name);
      const { runId, kind, staging } = manifest;
      const request = { paths: [staging], exclude: [], manifest, runId, kind, workDir, from: pull.ssh };
      const stored = await engine.backup(repository, request, ctx);
      const way = { repository, commands: engine.restoreCommands(repository, manifest) };
      await engine
        .leaveNote(repository, `RESTORE-${plan.siteId}.md`, restoreText(manifest, [way]), ctx)
        .catch((error: Error) => ctx.note(`RESTORE.md could not be left beside ${repository.name}: ${error.message}`));
      return stored;
    }),
  );
  const from = `pulled from ${plan.of?.host}`;
  return {
    said: `${shortId(snapshot)}: ${files} files, ${formatBytes(bytes)}, ${formatBytes(addedBytes)} new, ${from}`,
    ...{ snapshot, bytes, addedBytes, files },
  };
}

function filesOf({ databases, fileSets }: Manifest): number {
  return databases.length + fileSets.reduce((sum, { files }) => sum + files, 0);
}

/** What the other host has staged, and that it is what this run captured. */
async function manifestThere(input: StoreInput, { ssh, state }: Pull, env: PlannedEnv): Promise<Manifest> {
  const { plan, ctx, deps } = env;
  const staging = join(state, 'staging', plan.of?.site ?? plan.site, 'current');
  return withWorkDir(deps.state, async (dir) => {
    const result = await ctx.run(
      'rsync',
      ['--times', `--rsh=${rshOf(ssh)}`, remotePath(ssh, join(staging, MANIFEST)), `${dir}/`],
      {
        ok: RSYNC_CODES,
        idleMs: ANSWER_MS,
      },
    );
    if (result.exitCode === 23)
      throw ctx.fail('SnapshotMissing', `${plan.of?.host} has no capture of this run any more`, {
        advice: 'start the backup again; look at `pull.state` if that does not help',
      });
    const failed = rsyncFailure(result, plan.site, ssh, ctx);
    if (failed) throw failed;
    const manifest = await readManifest(join(dir, MANIFEST));
    const is = { captureId: manifest.captureId, siteId: manifest.siteId, staging: manifest.staging };
    const wanted = { captureId: input.captureId, siteId: plan.siteId, staging };
    for (const key of ['captureId', 'siteId', 'staging'] as const)
      if (is[key] !== wanted[key])
        throw ctx.fail('SnapshotMissing', `what ${plan.of?.host} has staged has another ${key} than this run`, {
          advice: 'start the backup again; look at `pull.state` if that does not help',
        });
    return manifest;
  });
}

const ANSWER_MS = 120_000;
