import { join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, Engine } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { backup } from './archive-backup.js';
import { archivesOf, findArchive, removeArchive, SAFE, sha256Of, siteDirs } from './archive-mark.js';
import { contents, damaged, unpack } from './archive-read.js';
import { onDisk, writeNote } from './location.js';
import { markedDirectories } from './root-mark.js';
import { quote } from './shell.js';
import { gnuTar } from './tar-steps.js';
import { countRestored } from './walk.js';

const { open, init } = markedDirectories('archive', 'an archive lies in a directory; restic can store elsewhere');

/** Archives of the sites named, or of all. */
async function all(repo: RepositorySpec, ctx: Context) {
  await open(repo, ctx);
  return onDisk(repo, ctx, async () => {
    const found = [];
    for (const site of await siteDirs(repo)) found.push(...(await archivesOf(repo, site, ctx)));
    return found;
  });
}

/**
 * The embedded engine: one compressed tar file per snapshot, in full each time, optionally encrypted to age recipients.
 * Needs GNU tar alone; zstd is used where it is installed.
 */
export const archiveEngine: Engine = {
  name: 'archive',
  abilities: {
    incremental: false,
    differential: false,
    publicKey: true,
    xattrs: true,
    dedup: false,
    appendOnly: false,
  },

  async preflight(_repo, ctx) {
    const tar = await gnuTar(ctx);
    if (!findProgram('zstd')) return { tar };
    const zstd = /v?(\d+\.\d+\.\d+)/.exec((await ctx.run('zstd', ['--version'])).stdout)?.[1];
    return { tar, ...(zstd ? { zstd } : {}) };
  },

  open,

  init,

  async backup(repo, request, ctx) {
    await open(repo, ctx);
    return backup(repo, request, ctx);
  },

  async list(repo, siteId, ctx) {
    await open(repo, ctx);
    const found = SAFE.test(siteId) ? await onDisk(repo, ctx, () => archivesOf(repo, siteId, ctx)) : [];
    return found
      .map(({ mark, whole }) => ({ ...mark.snapshot, repository: repo.name, complete: whole }))
      .sort((a, b) => a.storedAt.localeCompare(b.storedAt));
  },

  async sites(repo, ctx) {
    return [...new Set((await all(repo, ctx)).map(({ mark }) => mark.snapshot.siteId))].sort();
  },

  async *contents(repo, snapshot, ctx) {
    await open(repo, ctx);
    yield* contents(repo, await findArchive(repo, snapshot, ctx), ctx);
  },

  async restore(repo, snapshot, target, options, ctx) {
    await open(repo, ctx);
    await unpack(repo, await findArchive(repo, snapshot, ctx), target, options, ctx);
    return countRestored(target, options.paths, ctx);
  },

  async check(repo, depth, part, ctx) {
    const archives = (await all(repo, ctx)).sort((a, b) => a.mark.snapshot.id.localeCompare(b.mark.snapshot.id));
    for (const { whole, mark } of archives) if (!whole) throw damaged(repo, mark.snapshot.id, ctx);
    const chosen = archives.filter(
      (_, i) => depth === 'full' || (depth === 'sample' && i % part.of === (part.n - 1) % part.of),
    );
    let bytes = 0;
    for (const { mark, path } of chosen) {
      if ((await onDisk(repo, ctx, () => sha256Of(path, ctx))) !== mark.sha256)
        throw damaged(repo, mark.snapshot.id, ctx);
      bytes += mark.bytes;
    }
    const read = chosen.length ? `, ${formatBytes(bytes)} of ${chosen.length} read again` : '';
    return { said: `${archives.length} archives are whole${read}` };
  },

  async forget(repo, ids, ctx) {
    await open(repo, ctx);
    return onDisk(repo, ctx, async () => {
      let freedBytes = 0;
      for (const id of ids.filter((each) => SAFE.test(each)))
        for (const site of await siteDirs(repo)) freedBytes += await removeArchive(join(repo.location, site), id);
      return { freedBytes };
    });
  },

  async stats(repo, ctx) {
    const archives = await all(repo, ctx);
    return { bytes: archives.reduce((sum, { mark }) => sum + mark.bytes, 0), snapshots: archives.length };
  },

  restoreCommands(repo, { captureId, siteId }) {
    const identity =
      repo.identity && 'file' in repo.identity
        ? quote(repo.identity.file)
        : `"\${IDENTITY:?path of the age identity file}"`;
    const read = repo.recipients.length ? `age --decrypt --identity ${identity} "$1"` : 'cat "$1"';
    return [
      `set -- ${quote(join(repo.location, siteId))}/*-${captureId}.tar.*`,
      `sed -n 's/.*"sha256": "\\(.*\\)".*/\\1/p' "\${1%.tar.*}.json" | { read -r sum; echo "$sum  $1" | sha256sum --check; }`,
      'case "$1" in *.tar.zst*) unpack=zstd;; *) unpack=gzip;; esac',
      'mkdir -p ./restored',
      `${read} | $unpack -dc | tar --extract --directory=./restored --preserve-permissions --numeric-owner --xattrs --xattrs-include='*' --acls`,
    ];
  },

  leaveNote: writeNote,
};
