import { lstat } from 'node:fs/promises';
import { formatBytes } from '../../src/core/durations.js';
import type { Check } from '../../src/core/report.js';
import type { Context, Restored } from '../contracts.js';
import { type Kind, sha1Of } from './seafile-objects.js';
import type { Findings } from './seafile-rules.js';
import { type Reached, walkLibraries } from './seafile-walk.js';
import { eachLimited, tally } from './tally.js';

const WORDS: Record<Kind, string> = { commits: 'commit', fs: 'fs object', blocks: 'block' };

export const OBJECT_CHECKS = ['commits', 'fs objects', 'blocks', 'block contents'];

/** Every object that a branch leads to, its history too: commits and fs objects by their hash, blocks by being there, and this run's share of them by their hash. */
export async function objectChecks(
  database: string,
  storage: string,
  found: Findings,
  restored: Restored,
  ctx: Context,
): Promise<Check[]> {
  const { scratch, part, manifest } = restored;
  const seen = { commits: tally(), fs: tally(), blocks: tally() };
  const contents = tally();
  let bytes = 0;
  const bad = (of: typeof contents, { kind, library, id }: Reached, problem: string) =>
    found.bad(of, library, `library ${library}: ${WORDS[kind]} ${id} ${problem}`);
  const walk = { rows: database, storage, scratch, historyAsOf: manifest.capturedAt };
  await eachLimited(walkLibraries(walk, ctx), async (one) => {
    ctx.beat();
    if (one.problem !== undefined) return bad(seen[one.kind], one, one.problem);
    if (one.kind !== 'blocks') return seen[one.kind].good();
    const stats = await lstat(one.path).catch(() => undefined);
    if (!stats?.isFile() || stats.size === 0) return bad(seen.blocks, one, stats ? 'is empty' : 'is missing');
    seen.blocks.good();
    if (Number.parseInt(one.id.slice(0, 8), 16) % part.of !== part.n % part.of) return;
    bytes += stats.size;
    if ((await sha1Of(one.path).catch(() => '')) === one.id) contents.good();
    else bad(contents, one, 'holds other bytes than its name says');
  });
  return [
    seen.commits.check('commits', (all) => `${all} commits, each with the SHA-1 of its name`),
    seen.fs.check('fs objects', (all) => `${all} files and directories, each with the SHA-1 of its name`),
    seen.blocks.check('blocks', (all) => `${all} blocks are there`),
    contents.check(
      'block contents',
      (all) => `${all} blocks with ${formatBytes(bytes)} read in full (share ${part.n}/${part.of})`,
    ),
  ];
}
