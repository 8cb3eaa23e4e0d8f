#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { ROOT, setup } from './setup.mjs';
import { laneOf, loopbackOnly, startsCommand, testFiles } from './testing/lanes.mjs';
import { runFile } from './testing/run-file.mjs';

/** `npm test`: everything. `npm test -- --only <part of a path>`: those test files alone. */
const { only } = parseArgs({ options: { only: { type: 'string' } } }).values;
// An 'exit' ends every test that still runs; a signal alone would not bring one about.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130));
const began = Date.now();
const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;
const results = [];
const failed = [];

function show(result) {
  results.push(result);
  const { file, passed, skips, failures, output, ms } = result;
  const counts = `${passed} passed${skips.length ? `, ${skips.length} skipped` : ''}`;
  console.log(`${failures.length ? 'FAIL' : ' ok '} ${file}  ${counts}  ${seconds(ms)}`);
  if (failures.length === 0) return;
  failed.push(file);
  for (const { name, error } of failures) console.log(`     ${name}\n${error.replace(/^/gm, '       ')}`);
  if (output) console.log(`     printed:\n${output.replace(/^/gm, '       ')}`);
}

function check(name, program, ...args) {
  const start = Date.now();
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: ROOT, encoding: 'utf8' });
  console.log(`${status === 0 ? ' ok ' : 'FAIL'} ${name}  ${seconds(Date.now() - start)}`);
  if (status === 0) return;
  failed.push(name);
  console.log(`${stdout}${stderr}`.trim().slice(0, 6000));
}

/** Runs jobs, `width` at a time, in their order. */
async function play(jobs, width) {
  const queue = [...jobs];
  const next = async () => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) show(await runFile(job.file, job.options));
  };
  await Promise.all(Array.from({ length: width }, next));
}

const { testServer } = setup('test', console.log);
process.env.PATH = `${ROOT}node_modules/.bin:${process.env.PATH}`;
if (only === undefined) {
  check('lint', 'biome', 'check', '--error-on-warnings', '--max-diagnostics=20', '.');
  check('types', 'tsc', '--noEmit');
  check('dead code', 'knip');
}
const files = testFiles(only);
const inLane = (name, options) => files.filter((file) => laneOf(file) === name).map((file) => ({ file, options }));
// Tests meet a server only where the run gives them one: never one of the person who runs them.
const { TEMPORAL_ADDRESS: _, TEMPORAL_NAMESPACE: __, ...env } = process.env;
const { buildOnce, startServer, temporalPath } = await import('./testing/server.mjs');
const temporal = await temporalPath(env, console.log);
if (temporal) env.TEMPORAL_CLI_PATH = temporal;
const built = files.some(startsCommand) ? await buildOnce() : undefined;
if (built) env.HOLDFAST_TEST_BUILD = built.dir;

const needsServer = files.some((file) => !['isolated', 'parallel'].includes(laneOf(file)));
const server = temporal && needsServer ? await startServer(temporal) : undefined;
const withServer = { env: { ...env, ...server?.env } };
const wrapper = loopbackOnly();
const skipping = wrapper && testServer ? { TEMPORAL_TEST_SERVER_PATH: testServer } : {};
const isolated = { env: { ...env, ...skipping }, wrapper };
// Those that wait most come first, and the many short ones last: so the processor has work until the end.
const mixed = [...inLane('paired', withServer), ...inLane('isolated', isolated), ...inLane('parallel', { env })];
await Promise.all([play(inLane('waiting', withServer), 1), play(mixed, 3)]);
await play(inLane('serial', withServer), 1);
await server?.stop();
await built?.remove();

const total = (pick) => results.reduce((n, result) => n + pick(result), 0);
const skips = results.flatMap(({ file, skips }) => skips.map((skip) => ({ file, ...skip })));
if (skips.length > 0) console.log(`\n${skips.length} skipped:`);
for (const { file, name, reason } of skips) console.log(`  ${file}: ${name}: ${reason || 'NO REASON'}`);
if (files.length === 0) failed.push(`no test file matches ${only}`);
console.log(
  `\n${total((r) => r.passed)} passed in ${files.length} files, ${skips.length} skipped, ${seconds(Date.now() - began)}`,
);
if (failed.length > 0) console.log(`FAILED: ${failed.join(', ')}`);
process.exitCode = failed.length > 0 ? 1 : 0;
