import { join } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, Engine } from '../contracts.js';
import { parseRsync } from '../tools/rsync.js';
import { onDisk, writeNote } from './location.js';
import { markedDirectories } from './root-mark.js';
import { backup } from './rsync-backup.js';
import { check } from './rsync-check.js';
import { fetchList, mirrored, mustBeHere, remoteOf } from './rsync-remote.js';
import { contents, restore } from './rsync-restore.js';
import { allTrees, findTree, removeTree, SAFE, treesOf, withdraw } from './rsync-tree.js';
import { quote } from './shell.js';
import { countRestored } from './walk.js';

const here = markedDirectories(
  'rsync',
  'dated trees lie in a directory; let another machine pull instead (docs/hosts.md)',
);

/** Seafile's rule: in case the newest copy of dumps and data is inconsistent, an older one is there for a week (seed 001). */
const KEPT_MS = 7 * 86_400_000;

/** Opens it, and returns it as it can be read here: of another machine's, its marks have been copied. */
async function open(repo: RepositorySpec, ctx: Context): Promise<RepositorySpec> {
  const ssh = remoteOf(repo, ctx);
  if (!ssh) {
    await openHere(repo, ctx);
    return repo;
  }
  const mirror = await mirrored(repo, ssh, ctx);
  if (await here.isMarked(mirror)) return mirror;
  throw ctx.fail('RepositoryMissing', `there is no rsync repository for ${repo.name} on ${repo.host}`);
}

async function openHere(repo: RepositorySpec, ctx: Context): Promise<void> {
  mustBeHere(repo, ctx);
  await here.open(repo, ctx);
}

/** Dated trees of plain files: unchanged ones are hard links to the tree before, and anybody can read them without a tool. */
export const rsyncEngine: Engine = {
  name: 'rsync',
  keepsAtLeastMs: KEPT_MS,
  abilities: {
    incremental: true,
    differential: false,
    publicKey: false,
    xattrs: true,
    dedup: false,
    appendOnly: false,
  },

  async preflight(_repo, ctx) {
    const rsync = parseRsync((await ctx.run('rsync', ['--version'])).stdout);
    if (!rsync?.whole)
      throw ctx.fail('ToolTooOld', 'the rsync of this machine keeps no ACLs or extended attributes', {
        advice: "install your distribution's rsync",
      });
    return { rsync: rsync.version };
  },

  open: async (repo, ctx) => void (await open(repo, ctx)),

  async init(repo, ctx) {
    mustBeHere(repo, ctx);
    await here.init(repo, ctx);
  },

  async backup(repo, request, ctx) {
    await openHere(repo, ctx);
    return backup(repo, request, ctx);
  },

  async list(repo, siteId, ctx) {
    const at = await open(repo, ctx);
    const found = SAFE.test(siteId) ? await onDisk(repo, ctx, () => treesOf(at, siteId, ctx)) : [];
    // Another machine's marks alone say that a copy was finished.
    return found.map(({ mark, whole }) => ({
      ...mark.snapshot,
      repository: repo.name,
      complete: whole || at !== repo,
    }));
  },

  async sites(repo, ctx) {
    const at = await open(repo, ctx);
    const trees = await onDisk(repo, ctx, () => allTrees(at, ctx));
    return [...new Set(trees.map(({ mark }) => mark.snapshot.siteId))].sort();
  },

  async *contents(repo, snapshot, ctx) {
    const tree = await findTree(await open(repo, ctx), snapshot, ctx);
    const ssh = remoteOf(repo, ctx);
    if (ssh) await fetchList(repo, ssh, tree, ctx);
    yield* contents(tree, ssh !== undefined);
  },

  async restore(repo, snapshot, target, { paths }, ctx) {
    const tree = await findTree(await open(repo, ctx), snapshot, ctx);
    const ssh = remoteOf(repo, ctx);
    if (ssh) await fetchList(repo, ssh, tree, ctx);
    await restore(repo, tree, target, paths, ctx);
    return countRestored(target, paths, ctx);
  },

  async check(repo, depth, part, ctx) {
    await openHere(repo, ctx);
    return onDisk(repo, ctx, () => check(repo, depth, part, ctx));
  },

  async forget(repo, ids, ctx) {
    await openHere(repo, ctx);
    return onDisk(repo, ctx, async () => {
      let freedBytes = 0;
      for (const { id, mark, dir, whole } of await allTrees(repo, ctx)) {
        if (!ids.includes(id)) continue;
        const young = Date.now() - Date.parse(mark.snapshot.capturedAt) < KEPT_MS;
        if (whole && (!repo.keep || young)) {
          ctx.note(`${repo.name}: ${id} stays: a whole tree goes only by \`keep\`, and after 7 days`);
          continue;
        }
        const gone = await withdraw(dir, id);
        if (!gone) continue;
        await ctx.run('find', [gone, '-type', 'f', '-links', '1', '-printf', '%s\n'], {
          onLine: (line) => {
            freedBytes += Number(line);
          },
        });
        await removeTree(gone, ctx);
      }
      return { freedBytes };
    });
  },

  async stats(repo, ctx) {
    await openHere(repo, ctx);
    const { stdout } = await ctx.run('du', ['--summarize', '--block-size=1', '--', repo.location]);
    return { bytes: Number.parseInt(stdout, 10), snapshots: (await allTrees(repo, ctx)).length };
  },

  restoreCommands(repo, { captureId, siteId }) {
    return [
      `set -- ${quote(join(repo.location, siteId))}/*-${captureId.slice(0, 8)}.json   # without it the copy did not finish`,
      'test -f "$1"',
      'mkdir -p ./restored',
      `rsync -aHAXS --numeric-ids "\${1%.json}/" ./restored/`,
    ];
  },

  leaveNote: writeNote,
};
