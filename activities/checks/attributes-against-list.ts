import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileSetEntry } from '../../src/core/manifest.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import { unescaped, unpackAttributes, writeSorted } from '../capture/attributes.js';
import { readLines, sha256Of } from '../capture/lines.js';
import type { Context, Restored } from '../contracts.js';
import { notMade, type Tally, tally } from './tally.js';

const NAME = 'attributes';

/**
 * Extended attributes and ACLs of restored files against those that were listed with the capture. A file of another time than listed (it
 * changed while it was stored) is passed over; a directory never is.
 */
export async function attributesAgainstList(restored: Restored, ctx: Context): Promise<Check[]> {
  const sets = restored.manifest.fileSets.filter(({ attributes }) => attributes !== undefined);
  if (sets.length === 0) return [];
  const seen = { found: tally(), later: 0 };
  for (const set of sets) {
    const list = join(restored.root, ABOUT, set.attributes?.file ?? '');
    const hash = await sha256Of(list).catch(() => undefined);
    if (hash !== set.attributes?.sha256)
      return [notMade(NAME, `the list of ${set.name} is ${hash === undefined ? 'missing' : 'another one'}`)];
    await oneSet(set, list, restored, seen, ctx);
  }
  const later = seen.later > 0 ? `; ${seen.later} files changed while they were stored` : '';
  return [
    seen.found.check(
      NAME,
      (all) => `${all} entries have the extended attributes and ACLs that they had${later}`,
      (bad, all) => `${bad} of ${all} entries lack extended attributes or ACLs, or have others`,
    ),
  ];
}

async function oneSet(
  set: FileSetEntry,
  list: string,
  restored: Restored,
  seen: { found: Tally; later: number },
  ctx: Context,
): Promise<void> {
  const root = restored.relocate(set.root);
  const [want, have] = [join(restored.scratch, `${set.name}.want`), join(restored.scratch, `${set.name}.have`)];
  await unpackAttributes(list, want);
  await writeSorted({ root, include: set.parts ?? [], exclude: [] }, have, () => {}, ctx);
  const others = readLines(have);
  let other = await others.next();
  for await (const line of readLines(want)) {
    const [path = '', time = '', values = ''] = line.split('\t');
    ctx.beat();
    if (set.parts && !set.parts.some((part) => path === part || path.startsWith(`${part}/`))) continue;
    while (!other.done && isBefore(other.value, path)) other = await others.next();
    const [, , got = ''] = !other.done && other.value.startsWith(`${path}\t`) ? other.value.split('\t') : [];
    if (got === values) {
      seen.found.good();
      continue;
    }
    const place = join(root, unescaped(path));
    const stats = await lstat(place).catch(() => undefined);
    // The list of files tells of one that is missing.
    if (!stats || (time !== '-' && String(Math.trunc(stats.mtimeMs)) !== time)) seen.later++;
    else seen.found.bad(`${place}: ${difference(values, got)}`);
  }
}

/** Bytewise, as the lists are sorted; a tab follows each path. */
function isBefore(line: string, path: string): boolean {
  return Buffer.compare(Buffer.from(`${line.split('\t')[0]}\t`), Buffer.from(`${path}\t`)) < 0;
}

function difference(want: string, got: string): string {
  const [then, now] = [new Map(pairs(want)), new Map(pairs(got))];
  const lost = [...then.keys()].filter((name) => !now.has(name));
  const other = [...then].flatMap(([name, value]) => (now.has(name) && now.get(name) !== value ? [name] : []));
  const more = [...now.keys()].filter((name) => !then.has(name));
  return [
    ...(lost.length > 0 ? [`lacks ${lost.join(', ')}`] : []),
    ...(other.length > 0 ? [`has another ${other.join(', ')}`] : []),
    ...(more.length > 0 ? [`has ${more.join(', ')} besides`] : []),
  ].join('; ');
}

const pairs = (values: string): [string, string][] =>
  values.split(' ').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]);
