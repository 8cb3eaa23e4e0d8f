import { parseArgs } from 'node:util';
import { buildLab } from '../support/lab-build.js';
import { playApps } from './app-run.js';
import { type Arena, openArena } from './arena.js';
import { type Case, nameOf, randomCase } from './cases.js';
import { type Played, play } from './play.js';
import { healthyTimes, summary } from './summary.js';

/*
 * `npm run crash -- --seed N --cases N`: random cases, each in a lab with a Temporal of its own. A case that fails prints the
 * line that plays it again. Exit code 0 only where every case held. With --app (seafile, apiscp, mediagit, varasto, generic,
 * mysql, all) they are cases of that application.
 */

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '100' },
    case: { type: 'string' },
    app: { type: 'string' },
    labs: { type: 'string', default: '4' },
    json: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const indexes =
  values.case === undefined ? [...Array(Number(values.cases)).keys()] : values.case.split(',').map(Number);
if (![seed, ...indexes].every(Number.isInteger)) {
  console.error('crash: --seed, --cases and --case take whole numbers');
  process.exit(2);
}

if (values.app !== undefined) {
  const held = await playApps({ app: values.app, seed, indexes, labs: Number(values.labs) });
  process.exit(held ? 0 : 1);
}

const built = await buildLab();
const played: Played[] = [];
const failed: { name: string; again: string; message: string }[] = [];
const say = (line: string) => void (values.json ? process.stderr : process.stdout).write(`${line}\n`);
const began = performance.now();

async function one(arena: Arena, index: number, next: Case): Promise<boolean> {
  try {
    const result = await play(arena, next);
    played.push(result);
    const healthy = result.healthyMs === undefined ? '' : `, healthy after ${Math.round(result.healthyMs)} ms`;
    say(` ok  ${index} ${result.name}: ${result.outcome}${healthy}`);
    return true;
  } catch (error) {
    const again = `npm run crash -- --seed ${seed} --case ${index}`;
    const { message, stack } = error as Error;
    failed.push({ name: nameOf(next), again, message });
    say(`FAIL ${index} ${nameOf(next)}\n${stack}\n     again: ${again}`);
    return false;
  }
}

async function lab(): Promise<void> {
  let arena: Arena | string | undefined;
  try {
    for (let index = indexes.shift(); index !== undefined; index = indexes.shift()) {
      arena ??= await openArena(built.dir, true);
      if (typeof arena === 'string') throw new Error(arena);
      // What one case has left behind is not the next one's fault.
      if (!(await one(arena, index, randomCase(seed, index)))) arena = void (await arena.end());
    }
  } finally {
    if (arena && typeof arena !== 'string') await arena.end();
  }
}

const labs = Math.min(Number(values.labs), indexes.length);
const ends = await Promise.allSettled(Array.from({ length: labs }, lab));
await built.remove();
for (const end of ends) {
  if (end.status === 'rejected') {
    failed.push({ name: 'a lab', again: `npm run crash -- --seed ${seed}`, message: String(end.reason) });
    say(`FAIL a lab: ${end.reason}`);
  }
}
say(`seed ${seed}: ${failed.length} failed, ${Math.round((performance.now() - began) / 1000)} s; ${summary(played)}`);
for (const { name, again, message } of failed) say(`FAILED ${name}: ${message.split('\n')[0]}\n     again: ${again}`);
if (values.json) console.log(JSON.stringify({ seed, played, failed, healthy: healthyTimes(played) }));
process.exitCode = failed.length > 0 ? 1 : 0;
