import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { services } from '../../../activities/services/index.js';
import { keepStopped } from '../../../activities/site/assert-stopped.js';
import { openSite } from '../../../activities/site/site.js';
import { runWatchdog } from '../../../worker/watchdog.js';
import { testContext } from '../../support/context.js';
import { holderOf } from '../../support/holder.js';
import { createToy, eventually, lives } from '../../support/toy.js';

/** A program that somebody started by hand: what it does first, and its pid in the pid file only later. */
async function somebody(t: TestContext, first: string, pidFile: string, afterMs: number): Promise<number> {
  const named = `setTimeout(() => require('node:fs').writeFileSync(${JSON.stringify(pidFile)}, String(process.pid)), ${afterMs});`;
  const child = spawn(
    process.execPath,
    ['-e', `${first}; console.log('ready'); ${named} setInterval(() => {}, 1000)`],
    {
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  t.after(() => child.kill('SIGKILL'));
  await new Promise((ready) => child.stdout.once('data', ready));
  return child.pid ?? 0;
}

test('what somebody starts while state is exchanged is stopped again, also where its pid file comes late', async (t) => {
  const ctx = await testContext();
  const toy = await createToy();
  t.after(toy.end);
  await services.process.start(toy.spec, ['toy'], ctx);
  const first = toy.pid() ?? 0;
  await keepStopped([toy.spec], [toy.dir], ctx);
  assert.ok(!lives(first));
  assert.match(ctx.notes.at(-1) ?? '', /toy was started by somebody while its state was exchanged, and stopped again/);

  const aside = join(toy.dir, 'aside');
  await mkdir(aside);
  const opened = `require('node:fs').openSync(${JSON.stringify(join(aside, 'app.db'))}, 'w')`;
  const second = await somebody(t, opened, toy.spec.pidFile, 700);
  await keepStopped([toy.spec], [aside], ctx);
  assert.ok(!lives(second));
});

test('an application that was started before its state was exchanged, and is seen only then, is started anew', async (t) => {
  const ctx = await testContext({ site: 'app' });
  const end = new AbortController();
  t.after(() => end.abort());
  void runWatchdog({ stateDir: ctx.state.root, signal: end.signal });
  const toy = await createToy();
  t.after(toy.end);
  await services.process.start(toy.spec, ['toy'], ctx);
  await eventually('the toy answers', 10_000, toy.answers);
  const guard = openSite(ctx.state, 'app', { deadlineMs: 600_000 });
  const holder = holderOf('restore-app');
  await guard.hold(holder);
  const { epoch, prior } = await guard.arm(holder, { services: [toy.spec], capMs: 600_000 }, ctx);
  await services.process.stop(toy.spec, prior.toy ?? [], ctx);
  const port = toy.spec.start.argv.at(-1);
  const broken = `require('node:http').createServer((_, a) => { a.statusCode = 500; a.end(); }).listen(${port}, '127.0.0.1')`;
  const theirs = await somebody(t, broken, toy.spec.pidFile, 1500);
  const [path, to] = [join(toy.dir, 'live'), join(toy.dir, 'aside')];
  await writeFile(path, 'restored');
  await guard.addUndo(epoch, [{ kind: 'rename', from: path, to, aside: `${to}.rejected` }], ctx);
  const { started } = await guard.ensureUp('finish', { epoch, withinMs: 30_000 }, ctx);
  assert.ok(started && (await toy.answers()));
  assert.ok(!lives(theirs));
  assert.ok(toy.pid());
});
