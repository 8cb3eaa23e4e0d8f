import { isAbsolute, join } from 'node:path';
import { Readable } from 'node:stream';
import { formatBytes } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, Engine } from '../contracts.js';
import { assertMounted, writeNote } from './location.js';
import { gnuTar } from './tar-steps.js';
import { backup, keyOf } from './ubackup-backup.js';
import { findMark, markName, marksOf } from './ubackup-mark.js';
import { assertSame, contents, damaged, unpack } from './ubackup-read.js';
import { handLines } from './ubackup-shell.js';
import { storeOf } from './ubackup-stores.js';
import { countRestored } from './walk.js';

/** Says that a place is a repository: an empty mount point is none. µbackup's listing of services passes over it. */
const ROOT_MARK = 'holdfast-ubackup.json';

async function open(repo: RepositorySpec, ctx: Context): Promise<void> {
  await assertMounted(repo, ctx);
  // With the private key alone an empty machine reads it.
  if (!repo.identity || repo.recipients.length > 0) keyOf(repo, ctx);
  const store = storeOf(repo);
  if (!(await store.list(ctx)).some(({ name }) => name === ROOT_MARK))
    throw ctx.fail('RepositoryMissing', `there is no ubackup repository for ${repo.name}`);
}

/**
 * µbackup's own format and names, so that its tools read what we write: one object per capture, encrypted to an RSA public key.
 * It is for sites whose capture is one dump, as Varasto's export; the small files beside it go into a second object.
 */
export const ubackupEngine: Engine = {
  name: 'ubackup',
  abilities: {
    incremental: false,
    differential: false,
    publicKey: true,
    xattrs: true,
    dedup: false,
    appendOnly: false,
  },

  async preflight(repo, ctx) {
    const tools: Record<string, string> = { tar: await gnuTar(ctx) };
    if (isAbsolute(repo.location)) return tools;
    const rclone = /rclone v(\d+)\.(\d+)\S*/.exec((await ctx.run('rclone', ['version'])).stdout);
    if (!rclone || (Number(rclone[1]) === 1 && Number(rclone[2]) < 60))
      throw ctx.fail('ToolTooOld', `${rclone?.[0] ?? 'this rclone'} is older than 1.60`);
    return { ...tools, rclone: rclone[0].slice('rclone v'.length) };
  },

  async accepts(repo, { databases, fileSets }, ctx) {
    const inPlace = fileSets.find(({ change }) => change !== 'mutable');
    if (databases.length === 1 && !inPlace) return;
    const what = inPlace ? `files in place (${inPlace.name})` : `${databases.length} databases`;
    throw ctx.fail(
      'InvalidConfig',
      `repository ${repo.name} keeps one dump with small files, and this site has ${what}`,
      {
        advice: 'give the site a repository of another engine',
      },
    );
  },

  open,

  async init(repo, ctx) {
    await assertMounted(repo, ctx);
    keyOf(repo, ctx);
    const store = storeOf(repo);
    await store.make(ctx);
    const there = await open(repo, ctx).then(
      () => true,
      (error) => {
        if (isFailure(error, 'RepositoryMissing')) return false;
        throw error;
      },
    );
    const made = { schema: 1, made: new Date().toISOString(), by: 'holdfast' };
    if (!there) await store.put(ROOT_MARK, bytesOf(`${JSON.stringify(made)}\n`), ctx.cacheDir ?? repo.location, ctx);
  },

  async backup(repo, request, ctx) {
    await open(repo, ctx);
    return backup(repo, request, ctx);
  },

  async list(repo, siteId, ctx) {
    await open(repo, ctx);
    const found = await marksOf(repo, storeOf(repo), siteId, ctx);
    return found.map(({ mark, whole }) => ({ ...mark.snapshot, repository: repo.name, complete: whole }));
  },

  async sites(repo, ctx) {
    await open(repo, ctx);
    const found = await marksOf(repo, storeOf(repo), undefined, ctx);
    return [...new Set(found.map(({ mark }) => mark.snapshot.siteId))].sort();
  },

  async *contents(repo, snapshot, ctx) {
    await open(repo, ctx);
    const store = storeOf(repo);
    yield* contents(repo, store, await findMark(repo, store, snapshot, ctx), ctx);
  },

  async restore(repo, snapshot, target, options, ctx) {
    await open(repo, ctx);
    const store = storeOf(repo);
    await unpack(repo, store, await findMark(repo, store, snapshot, ctx), target, options, ctx);
    return countRestored(target, options.paths, ctx);
  },

  async check(repo, depth, part, ctx) {
    await open(repo, ctx);
    const store = storeOf(repo);
    const all = (await marksOf(repo, store, undefined, ctx)).sort((a, b) =>
      a.mark.snapshot.id.localeCompare(b.mark.snapshot.id),
    );
    for (const { mark, whole } of all) if (!whole) throw damaged(repo, mark.snapshot.id, ctx);
    const chosen = all.filter(
      (_, i) => depth === 'full' || (depth === 'sample' && i % part.of === (part.n - 1) % part.of),
    );
    let bytes = 0;
    for (const { mark } of chosen)
      for (const object of [mark.object, mark.rest]) {
        await assertSame(repo, store, object, ctx);
        bytes += object.bytes;
      }
    const read = chosen.length ? `, ${formatBytes(bytes)} of ${chosen.length} read again` : '';
    return { said: `${all.length} snapshots are whole${read}` };
  },

  async forget(repo, ids, ctx) {
    await open(repo, ctx);
    const store = storeOf(repo);
    const gone = (await marksOf(repo, store, undefined, ctx)).filter(({ mark }) => ids.includes(mark.snapshot.id));
    for (const { mark } of gone) {
      const { siteId, id } = mark.snapshot;
      await store.remove([markName(siteId, id), mark.object.name, mark.rest.name], ctx);
    }
    return { freedBytes: gone.reduce((sum, { mark }) => sum + mark.object.bytes + mark.rest.bytes, 0) };
  },

  async stats(repo, ctx) {
    await open(repo, ctx);
    const all = await marksOf(repo, storeOf(repo), undefined, ctx);
    return {
      bytes: all.reduce((sum, { mark }) => sum + mark.object.bytes + mark.rest.bytes, 0),
      snapshots: all.length,
    };
  },

  restoreCommands: (repo, { captureId, siteId }) => handLines(repo, siteId, captureId),

  async leaveNote(repo, name, text, ctx) {
    if (isAbsolute(repo.location)) return writeNote(repo, name, text, ctx);
    await storeOf(repo).put(name, bytesOf(text), join(ctx.cacheDir ?? '/tmp', 'ubackup'), ctx);
  },
};

const bytesOf = (text: string): Readable => Readable.from([Buffer.from(text)]);
