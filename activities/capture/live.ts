import { createHash } from 'node:crypto';
import { lstat, mkdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import type { Manifest, Snapshot } from '../../src/core/manifest.js';
import { shortId } from '../../src/core/names.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import type { StateDir } from '../site/api.js';
import { writeDurable } from '../site/durable.js';
import type { Differences, LiveDifference } from './compare.js';
import { exists } from './copy.js';
import { matcher } from './walk.js';

/** What a snapshot has otherwise than its lists say, in file sets that lived on while they were stored. */
export interface Lived {
  vanished: number;
  changed: number;
  /** Entries of the lists. */
  of: number;
  /** Of all differences, in the order of their paths: tells whether two readings found the same ones. */
  sha256: string;
  /** Differences that the host cannot explain: the file is there as it was listed. At most 20. */
  unexplained: string[];
  /** Sets of which more is missing than any life explains. */
  broken: string[];
}

/** Clocks of file systems are coarse: up to so much behind. */
const CLOCK_MS = 1000;

/** So many files may be a whole set, and be renewed in the course of one store. */
const FEW = 20;

/**
 * Gathers the differences of live sets. With `look`, each is held against the host: an entry that changed after the list was taken has a later
 * change time (nobody can set that one), and so has the directory that one was deleted from, but not the bare mount point of a disk that went;
 * anything else is the snapshot's fault.
 */
export function liveJudge(manifest: Manifest, plan: Plan, look: boolean) {
  const since = Date.parse(manifest.filesAsOf) - CLOCK_MS;
  const hash = createHash('sha256');
  const vanished: Record<string, number> = {};
  const unexplained: string[] = [];
  let changed = 0;
  const take = async (difference: LiveDifference): Promise<void> => {
    const { set, path, want, have } = difference;
    hash.update(`${JSON.stringify([path, want, have ?? null])}\n`);
    if (have === undefined) vanished[set] = (vanished[set] ?? 0) + 1;
    else changed++;
    if (!look || unexplained.length >= 20) return;
    const now = await nearest(path);
    const gone = now.path !== path && (await lostPlace(difference, manifest, plan));
    if (gone || now.ctimeMs < since) unexplained.push(path);
  };
  return {
    take,
    end: ({ live }: Pick<Differences, 'live'>): Lived => ({
      vanished: sum(vanished),
      changed,
      of: sum(live),
      sha256: hash.digest('hex'),
      unexplained,
      // It was a mount that went, or a snapshot that broke off.
      broken: Object.entries(vanished).flatMap(([set, count]) => {
        const spec = plan.fileSets.find(({ name }) => name === set);
        const few = count <= FEW && (spec === undefined || spec.optional || spec.mayBeEmpty);
        return count > (live[set] ?? 0) / 2 && !few ? [`${set}: ${count} of ${live[set]}`] : [];
      }),
    }),
  };
}

const sum = (counts: Record<string, number>): number => Object.values(counts).reduce((all, n) => all + n, 0);

/** The entry itself, or the nearest directory above it that is still there. */
async function nearest(path: string): Promise<{ path: string; ctimeMs: number }> {
  for (let at = path; ; at = dirname(at)) {
    const stats = await lstat(at).catch(() => undefined);
    if (stats) return { path: at, ctimeMs: stats.ctimeMs };
    if (at === dirname(at)) return { path: at, ctimeMs: 0 };
  }
}

/** A directory that a set begins with is not just deleted: the whole of what it belongs to is, or something went wrong. */
async function lostPlace({ set, path, want }: LiveDifference, manifest: Manifest, plan: Plan): Promise<boolean> {
  const root = manifest.fileSets.find(({ name }) => name === set)?.root;
  const spec = plan.fileSets.find(({ name }) => name === set);
  if (!want.startsWith('d\t') || root === undefined || !spec?.include.length) return false;
  return !matcher(spec)(relative(root, dirname(path))) && (await exists(dirname(path)));
}

/** Throws SnapshotDiffers where live sets differ by more than life explains. */
export function mustBeAlive({ unexplained, broken }: Lived, snapshot: Snapshot, ctx: Context): void {
  const id = shortId(snapshot);
  if (unexplained.length > 0)
    throw ctx.fail('SnapshotDiffers', `snapshot ${id} lacks or has otherwise what did not change: ${unexplained[0]}`, {
      details: { places: unexplained },
    });
  if (broken.length > 0)
    throw ctx.fail('SnapshotDiffers', `too much is missing in snapshot ${id} (${broken.join(', ')})`, {
      advice: 'see whether a disk was unmounted meanwhile, and back up again',
    });
}

/** `of 120,000 entries 3 changed and 2 were deleted while they were stored`; empty where none did. */
export function livedText({ vanished, changed, of }: Pick<Lived, 'vanished' | 'changed' | 'of'>): string {
  if (vanished + changed === 0) return '';
  const number = (n: number) => n.toLocaleString('en-US');
  return `of ${number(of)} entries ${number(changed)} changed and ${number(vanished)} were deleted while they were stored`;
}

const Recorded = z.object({
  schema: z.literal(1),
  sha256: z.string(),
  vanished: z.int(),
  changed: z.int(),
  of: z.int(),
});

/** What this host found when it verified a snapshot of live sets: from then on it must have those differences and no other. */
export function recordOfLived(state: StateDir, site: string, repository: string, { captureId }: Snapshot) {
  const file = join(state.site(site).dir, 'lived', `${captureId}-${repository}.json`);
  return {
    read: async () => {
      const text = await readFile(file, 'utf8').catch(() => undefined);
      return text === undefined ? undefined : Recorded.parse(JSON.parse(text));
    },
    write: async ({ sha256, vanished, changed, of }: Lived): Promise<void> => {
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await writeDurable(file, `${JSON.stringify({ schema: 1, sha256, vanished, changed, of })}\n`);
    },
  };
}

/** Whether this host has the files themselves: another one that stores or verifies them can compare, and explain nothing. */
export const canLook = ({ host }: Manifest, plan: Plan): boolean => plan.of === undefined && host === plan.host;

export const hasLive = ({ fileSets }: Manifest): boolean => fileSets.some(({ live }) => live === true);
