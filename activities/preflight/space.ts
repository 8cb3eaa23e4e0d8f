import { mkdir, statfs } from 'node:fs/promises';
import { formatBytes } from '../../src/core/durations.js';
import { livesElsewhere, type Plan } from '../../src/core/plan.js';
import { readReports } from '../reports.js';
import type { StateDir } from '../site/api.js';
import type { Env } from '../step.js';

/** What `holdfast check` has of a step's surroundings. */
export interface SpaceEnv {
  deps: { state: StateDir };
  ctx: Env['ctx'];
}

const RESERVE_BYTES = 5e9;
const RESERVE_SHARE = 0.1;

/** Space before stop: the staging area has room for the dumps and keeps its reserve (max(5 GB, 10 %) unless configured). */
export async function preflightSpace(plan: Plan, needed: number, { deps, ctx }: SpaceEnv): Promise<void> {
  await spaceFor('staging', deps.state.staging(plan.site), needed, plan, ctx);
  for (const repository of plan.repositories) {
    if (!repository.location.startsWith('/') || livesElsewhere(repository, plan.host)) continue;
    // An archive stores everything each time: as much as the last one, and at least what is staged.
    const last = repository.engine === 'archive' ? await lastBytes(deps.state, plan.site, repository.name) : 0;
    await spaceFor(`repository ${repository.name}`, repository.location, Math.max(needed, last), plan, ctx).catch(
      (error: NodeJS.ErrnoException) => {
        // One that does not exist or open has been told of already; its store says so again.
        if (error.code === undefined) throw error;
      },
    );
  }
}

async function lastBytes(state: StateDir, site: string, repository: string): Promise<number> {
  for (const report of (await readReports(state, site)).reverse()) {
    const bytes = report.repositories.find((entry) => entry.repository === repository)?.addedBytes;
    if (bytes !== undefined) return bytes;
  }
  return 0;
}

/** Throws NoSpace where `dir`'s file system has less than `needed` bytes besides the reserve, or no inode left. */
export async function spaceFor(
  what: string,
  dir: string,
  needed: number,
  plan: Plan,
  ctx: Env['ctx'],
  create = false,
): Promise<void> {
  if (create) await mkdir(dir, { recursive: true, mode: 0o700 });
  const disk = await statfs(dir);
  const free = disk.bavail * disk.bsize;
  const reserve = plan.limits.reserveBytes ?? Math.max(RESERVE_BYTES, disk.blocks * disk.bsize * RESERVE_SHARE);
  if (free - needed < reserve) {
    throw ctx.fail(
      'NoSpace',
      `${what} has ${formatBytes(free)} free, and needs ${formatBytes(needed)} besides a reserve of ${formatBytes(reserve)}`,
      {
        advice: 'free some space, or set limits.reserve; nothing was stopped',
      },
    );
  }
  if (disk.files > 0 && disk.ffree === 0) throw ctx.fail('NoSpace', `${what} has no free inode`);
}
