import { createHash } from 'node:crypto';
import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import { FileLine, type FileSetEntry } from '../../src/core/manifest.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import { readLines, sha256Of } from '../capture/lines.js';
import type { Context, Restored } from '../contracts.js';
import { eachLimited, type Tally, tally } from './tally.js';

/** Each file of each list: there, of its kind and size, and in this run's share with its hash, where the list has one. */
export async function filesAgainstList(restored: Restored, ctx: Context): Promise<Check[]> {
  const { fileSets } = restored.manifest;
  if (fileSets.length === 0) return [];
  const seen = { found: tally(), read: tally(), bytes: 0, unknown: 0 };
  for (const set of fileSets) await oneSet(set, restored, seen, ctx);
  const share = `${restored.part.n}/${restored.part.of}`;
  const without = seen.unknown > 0 ? `; the lists have no hash of ${seen.unknown} others` : '';
  const [files, bytes] = [fileSets.reduce((n, set) => n + set.files, 0), fileSets.reduce((n, set) => n + set.bytes, 0)];
  return [
    seen.found.check(
      'files',
      () => `${files} files with ${formatBytes(bytes)}, as in the lists`,
      (bad, all) => `${bad} of ${all} entries are missing or other than in the lists`,
    ),
    seen.read.check(
      'file contents',
      (all) => `${all} files with ${formatBytes(seen.bytes)} read in full (share ${share})${without}`,
      (bad, all) => `${bad} of ${all} files have other bytes than when they were stored`,
    ),
  ];
}

interface Seen {
  found: Tally;
  read: Tally;
  bytes: number;
  unknown: number;
}

async function oneSet(set: FileSetEntry, restored: Restored, seen: Seen, ctx: Context): Promise<void> {
  const list = join(restored.root, ABOUT, set.list);
  const hash = await sha256Of(list).catch(() => undefined);
  if (hash !== set.listSha256) {
    seen.found.bad(`${set.name}: its list is ${hash === undefined ? 'missing' : 'not the one of the manifest'}`);
    return;
  }
  const root = restored.relocate(set.root);
  let files = 0;
  await eachLimited(readLines(list), async (text) => {
    const line = FileLine.parse(JSON.parse(text));
    if (line.t === 'f') files++;
    const path = await compare(line, root, seen.found);
    ctx.beat();
    if (path === undefined || line.t !== 'f' || !inPart(line.p, restored.part)) return;
    if (line.h === undefined) {
      seen.unknown++;
      return;
    }
    seen.bytes += line.s;
    if ((await sha256Of(path).catch(() => 'unreadable')) === line.h) seen.read.good();
    else seen.read.bad(join(set.root, line.p));
  });
  if (files !== set.files) seen.found.bad(`${set.name}: its list has ${files} files, the manifest ${set.files}`);
}

/** Path of the restored file; undefined where it is not as listed. */
async function compare(line: FileLine, root: string, found: Tally): Promise<string | undefined> {
  const path = join(root, line.p);
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) {
    found.bad(`${path}: missing`);
    return undefined;
  }
  const type = stats.isFile() ? 'f' : stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : 'o';
  if (type !== line.t) found.bad(`${path}: another kind of entry`);
  else if (type === 'f' && stats.size !== line.s) found.bad(`${path}: ${stats.size} bytes, not ${line.s}`);
  else if (type === 'l' && (await readlink(path)) !== line.l) found.bad(`${path}: points elsewhere`);
  else {
    found.good();
    return path;
  }
  return undefined;
}

/** Which share a file is in depends on its name alone, so that as many runs as there are shares read all of them. */
function inPart(path: string, { n, of }: Restored['part']): boolean {
  return createHash('sha1').update(path).digest().readUInt32BE(0) % of === n % of;
}
