import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import { isFailure } from '../../src/core/failures.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { freshName } from '../capture/workdir.js';
import type { BackupRequest, Context, RunResult, Stored } from '../contracts.js';
import { BackupError, expandBraces, parseLine, Status, Summary, wentAway, wentBefore } from '../tools/restic.js';
import { IDLE_MS } from './lines.js';
import { restic } from './restic-session.js';
import { snapshotsOf, tagsOf } from './restic-snapshots.js';
import { assertSources, sourcesOf } from './walk.js';

/**
 * Stores a capture. A killed attempt leaves nothing that is listed (the snapshot's file is written last); one that could
 * not read everything (exit code 3) does, and is removed here at once.
 */
export async function backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored> {
  await assertSources(request, ctx);
  const { manifest, workDir } = request;
  await mkdir(workDir, { recursive: true });
  // Each listing costs restic the derivation of its key: the newest snapshot of ours is remembered until the next run.
  const newest = join(workDir, `restic-newest-${manifest.siteId}`);
  const remembered = await readFile(newest, 'utf8').catch(() => undefined);
  // Whatever goes wrong with it, the next attempt does without.
  await rm(newest, { force: true });
  const list = freshName(workDir);
  try {
    // NUL-separated: names may hold anything else, and an argument list has an end.
    await writeFile(list, (await sourcesOf(request, ctx)).map((path) => `${path}\0`).join(''), { mode: 0o600 });
    const args = (parent: string | undefined) => [
      ...['backup', '--json', '--quiet', '--host', manifest.host, '--files-from-raw', list],
      ...tagsOf(request).flatMap((tag) => ['--tag', tag]),
      // Named, because restic itself looks for one with the very same paths and, from 0.17 on, by other rules.
      ...(parent ? ['--parent', parent] : []),
      ...request.exclude.flatMap(expandBraces).flatMap((pattern) => ['--exclude', pattern]),
    ];
    let summary: Summary | undefined;
    const onLine = (line: string): void => {
      const json = parseLine(line);
      summary = Summary.safeParse(json).data ?? summary;
      const status = Status.safeParse(json).data;
      if (status) ctx.beat(progressOf(status));
    };
    const passed = { gone: 0, others: 0 };
    const onErrorLine = (line: string): void => {
      const error = BackupError.safeParse(parseLine(line)).data;
      if (error) passed[wentAway(error, request.live ?? []) ? 'gone' : 'others']++;
      else if (/ skipping$/.test(line)) passed[wentBefore(line, request.live ?? []) ? 'gone' : 'others']++;
    };
    const options = { onLine, onErrorLine, idleMs: IDLE_MS };
    const run = (parent: string | undefined) => restic(repo, args(parent), ctx, { workDir, options, accept: [0, 3] });
    const listed = async () => run((await snapshotsOf(repo, manifest.siteId, ctx, workDir)).at(-1)?.id);
    const result = await (remembered ? run(remembered) : listed()).catch((error) => {
      // Retention or a person has removed it, or another repository stands in its place.
      if (!remembered || !isFailure(error, 'SnapshotMissing')) throw error;
      return listed();
    });
    if (result.exitCode === 3 && (passed.others > 0 || passed.gone === 0))
      throw await incomplete(repo, request, summary, result, ctx);
    if (result.exitCode === 3) ctx.note(`${passed.gone} files went while they were stored in ${repo.name}`);
    const done = await stored(repo, request, summary, ctx);
    await writeFile(newest, done.snapshot.id, { mode: 0o600 }).catch(() => {}); // The next run lists, then.
    return done;
  } finally {
    await rm(list, { force: true });
  }
}

function progressOf({ bytes_done = 0, total_bytes, files_done = 0 }: z.infer<typeof Status>) {
  return { bytes: bytes_done, files: files_done, ...(total_bytes === undefined ? {} : { totalBytes: total_bytes }) };
}

/** 0.14 tells eight characters of the id: the list tells the rest, and proves that it is there. */
async function stored(
  repo: RepositorySpec,
  request: BackupRequest,
  summary: Summary | undefined,
  ctx: Context,
): Promise<Stored> {
  const id = summary?.snapshot_id;
  const found = await snapshotsOf(repo, request.manifest.siteId, ctx, request.workDir);
  const snapshot = found.find((each) => id !== undefined && each.id.startsWith(id));
  if (!summary || !snapshot)
    throw ctx.fail('ToolFailed', `restic ended well, but repository ${repo.name} does not list the snapshot`);
  const { total_bytes_processed: bytes, total_files_processed: files } = summary;
  return {
    snapshot: { ...snapshot, bytes },
    bytes,
    files,
    addedBytes: summary.data_added_packed ?? summary.data_added,
  };
}

async function incomplete(
  repo: RepositorySpec,
  request: BackupRequest,
  summary: Summary | undefined,
  { exitCode, stderrTail }: RunResult,
  ctx: Context,
): Promise<Error> {
  const id = summary?.snapshot_id;
  if (id)
    await restic(repo, ['forget', id], ctx, { workDir: request.workDir }).catch(() =>
      ctx.note(`incomplete snapshot ${id.slice(0, 8)} could not be removed from repository ${repo.name}`),
    );
  return ctx.fail('SnapshotIncomplete', `restic could not read some of the source for repository ${repo.name}`, {
    details: { tool: 'restic', exitCode, stderrTail },
  });
}
