import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { buildLab } from '../../test/support/lab-build.js';
import { downtime, flat, openBench } from './downtime.js';
import { engines, fulls, restores } from './engines.js';
import { histories, memory } from './many.js';
import { figure, missed, type Row, text, took } from './measure.js';
import { sites } from './sites.js';

/*
 * `npm run bench`: what Holdfast costs, in one run with what it is held against: medians, raw numbers, ratios. `--quick` does
 * with less data and fewer repeats, to see that it runs; `--only PART` (again and again) does that part alone.
 */

const PARTS = ['downtime', 'engines', 'restores', 'history', 'memory', 'sites'] as const;
type Part = (typeof PARTS)[number];

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
});
const { quick, json, only } = values;
const unknown = only.find((name) => !PARTS.some((part) => part === name));
if (unknown !== undefined) {
  console.error(`no part ${unknown}; there are ${PARTS.join(', ')}`);
  process.exit(2);
}
const wanted = (...parts: Part[]) => only.length === 0 || parts.some((part) => only.includes(part));

const REPEATS = quick ? 1 : 5;
const MEDIA_MB = quick ? [20, 40] : [200, 1_000, 4_000];
const FILES = quick ? [10, 100] : [10, 1_000, 100_000];
const MANY = quick ? 2_000 : 1_000_000;
const SITES = quick ? [20, 100] : [100, 1_000];
/** Where the data outweighs what each call costs. */
const MIDDLE = MEDIA_MB[1] ?? 0;
const [SMALLEST = 0, LARGEST = 0] = [MEDIA_MB[0], MEDIA_MB.at(-1)];

const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`);
const rows: Row[] = [];
const spent = new Map<string, number>();

async function timed<T>(name: string, what: () => Promise<T>): Promise<T> {
  let result: T | undefined;
  const ms = await took(async () => {
    result = await what();
  });
  spent.set(name, (spent.get(name) ?? 0) + ms);
  return result as T;
}

async function show(part: Part, measure: () => Promise<Row[]>): Promise<void> {
  if (!wanted(part)) return;
  const more = await timed(part, measure);
  for (const row of more) say(text(row));
  rows.push(...more);
}

async function media(built: string, mb: number): Promise<void> {
  const full = mb === LARGEST && mb !== MIDDLE;
  if (!wanted('downtime', ...(mb === MIDDLE ? (['engines', 'restores'] as const) : full ? (['engines'] as const) : [])))
    return;
  const lab = await timed('making sites', () => openBench(built, mb));
  try {
    if (mb === MIDDLE) await show('engines', () => engines(lab, mb, REPEATS, say));
    if (mb === MIDDLE) await show('restores', () => restores(lab, mb, REPEATS));
    if (full) await show('engines', () => fulls(lab, mb, Math.min(REPEATS, 3)));
    // Last: it may leave the lab's server untuned, which has the same share whatever the media.
    await show('downtime', () => downtime(lab, mb, REPEATS, mb === SMALLEST));
  } finally {
    await timed('making sites', () => lab.end());
  }
}

const built = await timed('build', buildLab);
try {
  for (const mb of MEDIA_MB) await media(built.dir, mb);
  await show('downtime', async () => flat(rows, SMALLEST, LARGEST));
  await show('history', () => histories(built.dir, FILES));
  await show('memory', () => memory(built.dir, MANY));
  await show('sites', () => sites(SITES[0] ?? 0, SITES[1] ?? 0));
} finally {
  await built.remove();
}
const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
const misses = rows.filter(missed).length;
const all = [...spent].map(([name, ms]) => `${name} ${Math.round(ms / 1000)} s`).join(', ');
say(`took: ${all}`);
say(`${new Date().toISOString().slice(0, 10)}, ${machine}: ${rows.length} figures, ${misses} miss their target`);
if (json)
  console.log(
    JSON.stringify({
      schemaVersion: 1,
      machine,
      rows: rows.map((row) => ({ ...row, figure: figure(row), missed: missed(row) })),
    }),
  );
