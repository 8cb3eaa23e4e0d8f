import { rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import { readLines } from '../capture/lines.js';
import { freshDir, withDirIn, workOf } from '../capture/workdir.js';
import type { Context, Engine } from '../contracts.js';
import { assertMounted, writeNote } from './location.js';
import { backup } from './rclone-backup.js';
import { held, wrong } from './rclone-content.js';
import { gunzipped, itemOf, listed } from './rclone-list.js';
import { fetchList, findMark, marksOf, putText, SAFE } from './rclone-mark.js';
import { firstLacking, forget, needed } from './rclone-prune.js';
import { pathIn, rclone } from './rclone-remote.js';
import { restore } from './rclone-restore.js';
import { byHand } from './rclone-shell.js';
import { countRestored } from './walk.js';

/** Says that a place is a repository: an empty mount point, or bucket, is none. */
const ROOT_MARK = 'holdfast-rclone.json';

async function open(repo: RepositorySpec, ctx: Context): Promise<void> {
  await assertMounted(repo, ctx);
  const { exitCode, stdout } = await rclone(repo, ['cat', pathIn(repo, ROOT_MARK, ctx)], { ok: [0, 3, 4] }, ctx);
  if (exitCode !== 0 || stdout === '')
    throw ctx.fail('RepositoryMissing', `there is no rclone repository for ${repo.name}`);
  if (!stdout.includes('"schema":1')) throw ctx.fail('RepositoryDamaged', `the mark of ${repo.name} is not ours`);
}

/** A directory for what is fetched: the lists of all snapshots may be large. */
const work = <T>(ctx: Context, use: (dir: string) => Promise<T>): Promise<T> => withDirIn(workOf(ctx), use);

/**
 * Any place that rclone reaches: S3, GCS and the like, or a directory. Each content is stored once, named by its hash, and never written
 * again; a snapshot is a list of all files with their attributes. So only what is new is sent, as a sync does, and each state stays whole.
 */
export const rcloneEngine: Engine = {
  name: 'rclone',
  abilities: {
    incremental: true,
    differential: false,
    publicKey: false,
    xattrs: true,
    dedup: true,
    appendOnly: false,
  },

  async preflight(_repo, ctx) {
    const [, version, major, minor] =
      /rclone v((\d+)\.(\d+)\S*)/.exec((await ctx.run('rclone', ['version'])).stdout) ?? [];
    if (!version || (Number(major) === 1 && Number(minor) < 60))
      throw ctx.fail('ToolTooOld', `rclone ${version ?? ''} is older than 1.60`);
    return { rclone: version };
  },

  open,

  async init(repo, ctx) {
    await assertMounted(repo, ctx);
    const known = await rclone(repo, ['cat', pathIn(repo, ROOT_MARK, ctx)], { ok: [0, 3, 4] }, ctx);
    if (known.exitCode === 0 && known.stdout !== '') return;
    await rclone(repo, ['mkdir', pathIn(repo, '', ctx).replace(/\/$/, '')], {}, ctx);
    const made = { schema: 1, made: new Date().toISOString(), by: 'holdfast' };
    await work(ctx, (dir) => putText(repo, ROOT_MARK, `${JSON.stringify(made)}\n`, dir, ctx));
  },

  async backup(repo, request, ctx) {
    await open(repo, ctx);
    return backup(repo, request, ctx);
  },

  async list(repo, siteId, ctx) {
    await open(repo, ctx);
    if (!SAFE.test(siteId)) return [];
    const marks = await work(ctx, (dir) => marksOf(repo, siteId, dir, ctx));
    return marks.map(({ snapshot }) => ({ ...snapshot, repository: repo.name }));
  },

  async sites(repo, ctx) {
    await open(repo, ctx);
    const marks = await work(ctx, (dir) => marksOf(repo, undefined, dir, ctx));
    return [...new Set(marks.map(({ snapshot }) => snapshot.siteId))].sort();
  },

  async *contents(repo, snapshot, ctx) {
    await open(repo, ctx);
    const dir = await freshDir(workOf(ctx));
    try {
      const { list } = await fetchList(repo, await findMark(repo, snapshot, dir, ctx), join(dir, 'list'), ctx);
      for await (const line of gunzipped(list)) yield listed(itemOf(line));
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },

  async restore(repo, snapshot, target, { paths }, ctx) {
    await open(repo, ctx);
    const mark = await work(ctx, (dir) => findMark(repo, snapshot, dir, ctx));
    await restore(repo, mark, target, paths, ctx);
    return countRestored(target, paths, ctx);
  },

  async check(repo, depth, part, ctx) {
    await open(repo, ctx);
    return work(ctx, async (dir) => {
      const marks = await marksOf(repo, undefined, dir, ctx);
      const [want, have] = [join(dir, 'want.txt'), join(dir, 'have.txt')];
      await needed(repo, marks, want, dir, ctx);
      await held(repo, have, ctx);
      const lacks = await firstLacking(want, have);
      const [bytes, wanted] = [{ read: 0 }, depth === 'full' ? () => true : inPart(part)];
      async function* chosen() {
        for await (const line of depth === 'structure' ? [] : readLines(want)) {
          if (!wanted(line)) continue;
          bytes.read += Number(line.split('\t')[1]);
          yield line.slice(0, 64);
        }
      }
      const { bad, all } = lacks ? { bad: [lacks], all: true } : await wrong(repo, chosen(), dir, ctx);
      if (bad.length > 0)
        throw ctx.fail('RepositoryDamaged', `content in ${repo.name} is missing or damaged`, {
          details: { places: bad.slice(0, 20) },
        });
      // What could not be read was not proven; why is in the log of the step.
      if (!all) throw ctx.fail('RepositoryUnreachable', `rclone could not read all content of ${repo.name} again`);
      const read = depth === 'structure' ? '' : `, ${formatBytes(bytes.read)} read again`;
      return { said: `${marks.length} snapshots are whole${read}` };
    });
  },

  async forget(repo, ids, ctx) {
    await open(repo, ctx);
    return work(ctx, (dir) => forget(repo, ids, dir, ctx));
  },

  async stats(repo, ctx) {
    await open(repo, ctx);
    const { stdout } = await rclone(repo, ['size', '--json', pathIn(repo, '', ctx)], {}, ctx);
    const snapshots = (await work(ctx, (dir) => marksOf(repo, undefined, dir, ctx))).length;
    return { bytes: (JSON.parse(stdout) as { bytes: number }).bytes, snapshots };
  },

  restoreCommands: byHand,

  async leaveNote(repo, name, text, ctx) {
    if (isAbsolute(repo.location)) await writeNote(repo, name, text, ctx);
    else await work(ctx, (dir) => putText(repo, name, text, dir, ctx));
  },
};

/** Which share content is in depends on its name alone. */
function inPart({ n, of }: { n: number; of: number }): (line: string) => boolean {
  return (line) => Number.parseInt(line.slice(0, 8), 16) % of === n % of;
}
