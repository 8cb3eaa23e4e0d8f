import { copyFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { withWorkDir } from '../../activities/capture/workdir.js';
import type { Context } from '../../activities/contracts.js';
import { engines } from '../../activities/engines/index.js';
import { writeReport } from '../../activities/reports.js';
import type { StateDir } from '../../activities/site/api.js';
import type { ConfigPart } from '../core/adopt.js';
import type { Snapshot } from '../core/manifest.js';
import type { RepositorySpec } from '../core/plan.js';
import { Report } from '../core/report.js';

export interface AdoptedSite {
  siteId: string;
  snapshot: Snapshot;
  config: ConfigPart;
  /** Where its manifest, config and RESTORE.md now lie. */
  directory: string;
  /** Reports that were put back, so that `status` and retention know what was verified and proven. */
  reports: number;
}

const PARTS = ['manifest.json', 'holdfast.yaml', 'RESTORE.md', 'reports'];

/** Fetches what describes each site from its newest complete snapshot; nothing of the sites' own data. Throws what engines throw, SnapshotMissing. */
export async function adoptRepository(
  repo: RepositorySpec,
  options: { into: string; state: StateDir; sites?: string[] | undefined },
  ctx: Context,
): Promise<AdoptedSite[]> {
  const engine = engines[repo.engine];
  await engine.preflight(repo, ctx);
  await engine.open(repo, ctx);
  const known = await engine.sites(repo, ctx);
  const wanted = options.sites ?? known;
  const missing = wanted.filter((site) => !known.includes(site));
  if (missing.length > 0 || known.length === 0)
    throw ctx.fail('SnapshotMissing', `no snapshot of ${missing.join(', ') || 'any site'} in this repository`, {
      advice: known.length > 0 ? `it holds: ${known.join(', ')}` : 'name another location',
    });
  const adopted: AdoptedSite[] = [];
  for (const siteId of wanted) adopted.push(await adoptSite(repo, siteId, options, ctx));
  return adopted;
}

async function adoptSite(
  repo: RepositorySpec,
  siteId: string,
  { into, state }: { into: string; state: StateDir },
  ctx: Context,
): Promise<AdoptedSite> {
  const engine = engines[repo.engine];
  const snapshots = await engine.list(repo, siteId, ctx);
  const good = snapshots.filter(({ kind, complete }) => kind === 'regular' && complete);
  const snapshot = good.sort((a, b) => a.capturedAt.localeCompare(b.capturedAt)).at(-1);
  if (!snapshot) throw ctx.fail('SnapshotMissing', `no complete snapshot of ${siteId} in this repository`);
  const staging = await stagingOf(repo, snapshot, ctx);
  return withWorkDir(state, async (work) => {
    const target = join(work, 'restored');
    await mkdir(target);
    const paths = staging.parts.map((name) => join(staging.path, name));
    await engine.restore(repo, snapshot.id, target, { paths, workDir: join(work, 'cache') }, ctx);
    const from = join(target, staging.path);
    const directory = join(into, siteId);
    await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const name of PARTS.slice(0, 3)) await copyFile(join(from, name), join(directory, name));
    const config = parse(await readFile(join(from, 'holdfast.yaml'), 'utf8')) as ConfigPart;
    return { siteId, snapshot, config, directory, reports: await putReportsBack(join(from, 'reports'), state) };
  });
}

/** The staging directory as it was on the machine that took the snapshot, and which of our parts it holds. */
async function stagingOf(
  repo: RepositorySpec,
  snapshot: Snapshot,
  ctx: Context,
): Promise<{ path: string; parts: string[] }> {
  let path: string | undefined;
  const seen = new Set<string>();
  for await (const entry of engines[repo.engine].contents(repo, snapshot.id, ctx)) {
    seen.add(entry.path);
    if (/\/staging\/[^/]+\/current\/manifest\.json$/.test(entry.path))
      path = entry.path.slice(0, -PARTS[0]!.length - 1);
  }
  const parts = path === undefined ? [] : PARTS.filter((name) => seen.has(join(path, name)));
  if (path !== undefined && parts.length >= 3) return { path, parts };
  throw ctx.fail('SnapshotDiffers', `the newest snapshot of ${snapshot.siteId} lacks its manifest or config`);
}

async function putReportsBack(directory: string, state: StateDir): Promise<number> {
  let count = 0;
  for (const name of await readdir(directory).catch(() => [])) {
    const report = Report.safeParse(JSON.parse(await readFile(join(directory, name), 'utf8')));
    if (!report.success) continue;
    await writeReport(state, report.data);
    count++;
  }
  return count;
}
