import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { services } from '../../activities/services/index.js';
import { openSite } from '../../activities/site/site.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import { testContext } from '../support/context.js';
import { createToy, eventually, runModule } from '../support/toy.js';

const module = (name: string): string => fileURLToPath(new URL(`../support/${name}.ts`, import.meta.url));
const ROUNDS = Number(process.env.HOLDFAST_CRASH_ROUNDS ?? 8);

/** Spread over the about 500 ms of a section, and each run of the test elsewhere. */
const cuts = Array.from({ length: ROUNDS }, (_, i) => Math.round(((i + Math.random()) * 600) / ROUNDS));

test(`the application comes back with a whole state when worker, or worker and watchdog, are killed after ${cuts.join(', ')} ms`, async (t) => {
  const ctx = await testContext();
  const toy = await createToy();
  const live = join(toy.dir, 'live');
  const started: ChildProcess[] = [];
  t.after(() => {
    for (const child of started) child.kill('SIGKILL');
    toy.end();
  });
  const start = (name: string, ...args: string[]) => {
    const child = runModule(module(name), [ctx.state.root, ...args]);
    started.push(child);
    return child;
  };
  // The application refuses to start without its state, as one that would make itself an empty one must not be let.
  toy.spec.start = {
    ...toy.spec.start,
    argv: ['sh', '-c', `[ -e ${live} ] && exec "$@"`, 'sh', ...toy.spec.start.argv],
  };
  writeFileSync(live, 'old 0');
  await services.process.start(toy.spec, ['toy'], ctx);
  await eventually('the toy answers', 60_000, toy.answers);
  let watchdog = start('resident');
  await eventually('the watchdog runs', 60_000, () => watchdogAlive(ctx.state));
  for (const [round, cut] of cuts.entries()) {
    const worker = start('cycling-worker', JSON.stringify(toy.spec), toy.dir);
    await once(createInterface({ input: worker.stdout }), 'line');
    await sleep(cut);
    const both = round % 2 === 1;
    if (both) watchdog.kill('SIGKILL');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    if (both) watchdog = start('resident');
    const guard = openSite(ctx.state, 'cms');
    const settled = async () => ['idle', 'held'].includes((await guard.read()).phase);
    await eventually(`the record settles after ${cut} ms`, 60_000, settled);
    await eventually(`the application answers after ${cut} ms`, 30_000, toy.answers);
    const { epoch, undo } = await guard.read();
    assert.deepEqual(undo, []);
    assert.match(readFileSync(live, 'utf8'), /^(old 0|new \d+)$/);
    assert.ok(epoch >= Number(/\d+/.exec(readFileSync(live, 'utf8'))?.[0]));
  }
  assert.ok(existsSync(live));
});
