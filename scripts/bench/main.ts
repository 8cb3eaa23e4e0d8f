import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { buildLab } from '../../test/support/lab-build.js';
import { downtime, openBench } from './downtime.js';
import { engines, restores } from './engines.js';
import { histories } from './history.js';
import { figure, median, type Row } from './measure.js';

/*
 * `npm run bench`: what Holdfast costs, in one run with what it is held against: medians, raw numbers, ratios. `--quick` does
 * with less data and fewer repeats, to see that it runs.
 */

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
});
const { quick, json } = values;
const REPEATS = quick ? 1 : 5;
const MEDIA_MB = quick ? [20] : [200, 1_000, 4_000];
const FILES = quick ? [10, 100] : [10, 1_000, 100_000];
const MANY = quick ? 2_000 : 1_000_000;

const say = (line: string) => void (json ? process.stderr : process.stdout).write(`${line}\n`);
const rows: Row[] = [];
const show = (more: Row[]) => {
  for (const row of more) say(text(row));
  rows.push(...more);
};

const short = (value: number) => (value >= 100 ? String(Math.round(value)) : value.toFixed(2).replace(/\.?0+$/, ''));
const raw = (numbers: readonly number[]) => numbers.map(short).join(' ');
const missed = (row: Row) => row.target !== undefined && figure(row) > row.target;

function text(row: Row): string {
  const { what, unit, ours, theirs, target } = row;
  const against = theirs ? `  ${theirs.name} ${short(median(theirs.values))} ${unit}  ${short(figure(row))} times` : '';
  const goal = target === undefined ? '' : `  ${missed(row) ? 'MISSES' : 'within'} ${target}`;
  const numbers = ours.length > 1 ? `  (${raw(ours)}${theirs ? ` / ${raw(theirs.values)}` : ''})` : '';
  return `${what}: ${short(median(ours))} ${unit}${against}${goal}${numbers}`;
}

const built = await buildLab();
try {
  for (const mb of MEDIA_MB) {
    const lab = await openBench(built.dir, mb);
    try {
      show(await downtime(lab, `${mb} MB of media`, REPEATS, true));
      // Where the data outweighs what each call costs.
      if (mb === MEDIA_MB[Math.min(1, MEDIA_MB.length - 1)]) {
        show(await engines(lab, REPEATS, say));
        show(await restores(lab, REPEATS));
      }
    } finally {
      await lab.end();
    }
  }
  const slow = await openBench(built.dir, MEDIA_MB[0] ?? 200, { untuned: true });
  show(await downtime(slow, `${MEDIA_MB[0]} MB, server not tuned`, REPEATS, false).finally(() => slow.end()));
  show(await histories(built.dir, FILES, MANY));
} finally {
  await built.remove();
}
const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
const misses = rows.filter(missed).length;
say(`${new Date().toISOString().slice(0, 10)}, ${machine}: ${rows.length} figures, ${misses} miss their target`);
if (json)
  console.log(
    JSON.stringify({
      schemaVersion: 1,
      machine,
      rows: rows.map((row) => ({ ...row, figure: figure(row), missed: missed(row) })),
    }),
  );
