import { consistencyOf, Snapshot, SnapshotKind } from '../../src/core/manifest.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { BackupRequest, Context } from '../contracts.js';
import { parseLine, SnapshotList } from '../tools/restic.js';
import { restic } from './restic-session.js';

/** Every snapshot of ours has it, whatever its site. */
const OURS = 'holdfast';

/** What a snapshot says of itself; none holds a comma, which would split it. */
export function tagsOf({ manifest, runId, kind }: Pick<BackupRequest, 'manifest' | 'runId' | 'kind'>): string[] {
  const { siteId, captureId, capturedAt } = manifest;
  const consistency = consistencyOf(manifest.databases);
  return [
    ...[OURS, `site=${siteId}`, `capture=${captureId}`, `run=${runId}`, `kind=${kind}`, `at=${capturedAt}`],
    ...(consistency ? [`consistency=${consistency}`] : []),
  ];
}

/** Snapshots of ours, oldest first; without a site, those of every site. */
export async function snapshotsOf(
  repo: RepositorySpec,
  siteId: string | undefined,
  ctx: Context,
  workDir?: string,
): Promise<Snapshot[]> {
  const tag = siteId === undefined ? OURS : `${OURS},site=${siteId}`;
  // A listing needs no lock: a snapshot's file appears whole or not at all.
  const { stdout } = await restic(repo, ['snapshots', '--json', '--no-lock', '--tag', tag], ctx, {
    ...(workDir ? { workDir } : {}),
  });
  const parsed = SnapshotList.safeParse(parseLine(stdout.trim()) ?? null);
  if (!parsed.success)
    throw ctx.fail('ToolFailed', `restic's list of snapshots in ${repo.name} is not what it should be`);
  const found = (parsed.data ?? []).flatMap(({ id, time, tags, summary }) => {
    const value = (name: string) => tags?.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
    const [site, captureId, runId, at] = [value('site'), value('capture'), value('run'), value('at')];
    const kind = SnapshotKind.safeParse(value('kind')).data;
    if (!site || !captureId || !runId || !at || !kind) return [];
    const consistency = Snapshot.shape.consistency.safeParse(value('consistency')).data;
    const bytes = summary?.total_bytes_processed;
    return [
      {
        ...{ id, repository: repo.name, captureId, runId, siteId: site, kind, capturedAt: at },
        ...(consistency ? { consistency } : {}),
        ...{ storedAt: new Date(time).toISOString(), complete: true, ...(bytes === undefined ? {} : { bytes }) },
      },
    ];
  });
  return found.sort((a, b) => a.storedAt.localeCompare(b.storedAt));
}
