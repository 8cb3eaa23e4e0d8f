import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { withSignal } from '../../../activities/tools/context.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { type FailureDetails, isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';
import { eventually, lives, runModule } from '../../support/toy.js';

const sh = (script: string): [string, string[]] => ['sh', ['-c', script]];
const rejection = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.fail('it did not reject'),
    (error) => error,
  );

const tailOf = (error: unknown): unknown => (error as { details: FailureDetails[] }).details[0]?.stderrTail;

test('a program gets its input, a minimal environment, and gives its output', async () => {
  process.env.HOLDFAST_TEST_LEAK = 'leaked';
  const ctx = await testContext();
  const { stdout, exitCode } = await ctx.run('cat', [], { input: 'with umlauts: äöü' });
  assert.deepEqual([stdout, exitCode], ['with umlauts: äöü', 0]);
  const env = (await ctx.run('env', [], { env: { MINE: '1' } })).stdout.split('\n');
  assert.ok(env.includes('MINE=1') && env.includes('LANG=C.UTF-8') && env.includes('TZ=UTC'));
  assert.ok(!env.some((line) => line.includes('leaked')));
  assert.equal((await ctx.run(...sh('umask; exit 4'), { ok: [4] })).stdout, '0022\n');
  assert.deepEqual(readdirSync(ctx.state.groups), []);
});

test('a failure names tool and exit code, carries a tail of stderr and never stdout', async () => {
  const ctx = await testContext({ step: 'dump' });
  const error = await rejection(ctx.run(...sh('echo out-secret; echo reason >&2; exit 3')));
  assert.ok(isFailure(error, 'ToolFailed'));
  assert.match(error.message, /^dump on local: sh ended with exit code 3; /);
  assert.deepEqual(error.details, [{ tool: 'sh', log: 'logs/test.log', exitCode: 3, stderrTail: 'reason\n' }]);
  assert.ok(!JSON.stringify(error).includes('out-secret'));
  const log = await ctx.logText();
  assert.ok(log.includes('reason') && log.includes('exit code 3'));
  assert.equal(statSync(join(ctx.state.logs, 'test.log')).mode & 0o777, 0o600);
});

test('a program that is not there is ToolMissing by name, and 127 of its own is not', async () => {
  const ctx = await testContext();
  const error = await rejection(ctx.run('no-such-tool', []));
  assert.ok(isFailure(error, 'ToolMissing') && error.message.includes('no-such-tool'));
  assert.ok(isFailure(await rejection(ctx.run(...sh('exit 127'))), 'ToolFailed'));
});

test('secrets are gone from errors and log, also in pieces over two writes', async () => {
  const ctx = await testContext();
  const secretEnv = { TOKEN: 'hunter2hunter2' };
  const script = 'printf hunter2 >&2; sleep 0.1; echo hunter2 >&2; exit 1';
  const error = await rejection(ctx.run(...sh(script), { secretEnv }));
  assert.ok(!JSON.stringify(error.details).includes('hunter2'));
  assert.equal(error.details[0].stderrTail, '***\n');
  // The command line in the log is ours; the script names the halves, never the whole.
  assert.ok(!(await ctx.logText()).includes('hunter2hunter2'));
});

test('the tail of a chatty program is at most 4 KB', async () => {
  const ctx = await testContext();
  const error = await rejection(ctx.run(...sh('yes äääääääääääää | head -c 100000 >&2; exit 1')));
  assert.ok(Buffer.byteLength(error.details[0].stderrTail) <= 4096);
});

test('cancellation ends the whole group, after 10 s also one that ignores SIGTERM, and gives its own reason', async () => {
  const ctx = await testContext();
  const reason = new Error('cancelled by Temporal');
  const running = ctx.run(...sh('trap "" TERM; sleep 300 & echo $! >&2; wait'), {});
  const failed = rejection(running);
  await eventually('the child runs', 60_000, async () => /\n\d+\n/.test(await ctx.logText()));
  const child = Number(/\n(\d+)\n/.exec(await ctx.logText())?.[1]);
  ctx.cancel(reason);
  await eventually('the grandchild has ended', 40_000, () => !lives(child));
  assert.equal(await failed, reason);
  assert.equal(await rejection(ctx.run('true', [])), reason);
  assert.equal((await withSignal(ctx, new AbortController().signal).run('echo', ['on'])).stdout, 'on\n');
});

test('limits of time and silence end a program', async () => {
  const ctx = await testContext();
  for (const limit of [{ timeoutMs: 150 }, { idleMs: 200 }])
    assert.ok(isFailure(await rejection(ctx.run('sleep', ['600'], limit)), 'ToolStalled'));
});

test('silence is counted from the last words or beat, by the time in which we could have heard them', async (t) => {
  const ctx = await testContext();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const spoke = (words: RegExp) => eventually('it spoke', 60_000, async () => words.test(await ctx.logText()));
  const silent = rejection(ctx.run(...sh('echo last words >&2; sleep 600'), { idleMs: 2000 }));
  await spoke(/^last words$/m);
  t.mock.timers.tick(2500);
  const stalled = await silent;
  assert.ok(isFailure(stalled, 'ToolStalled'));
  assert.equal(tailOf(stalled), 'last words\n');

  const input = new PassThrough();
  let heard = 0;
  const running = ctx.run(...sh('echo beaten >&2; while read -r line; do echo "$line"; done'), {
    idleMs: 2000,
    input,
    onStdout: async (stream) => {
      for await (const chunk of stream) heard += chunk.length;
    },
  });
  await spoke(/^beaten$/m);
  for (let n = 0; n < 4; n++) {
    t.mock.timers.tick(1500);
    ctx.beat();
  }
  for (let n = 1; n <= 4; n++) {
    input.write('x\n');
    await eventually('it answers', 60_000, () => heard === 2 * n);
    t.mock.timers.tick(1500);
  }
  input.end();
  assert.equal((await running).exitCode, 0);
});

test('lines and streams: consumers see all, and their errors end the program', async () => {
  const ctx = await testContext();
  const lines: string[] = [];
  const { stdout } = await ctx.run(...sh('printf "a\\nb\\nc"'), { onLine: (line) => lines.push(line) });
  assert.deepEqual([lines, stdout], [['a', 'b', 'c'], '']);
  let size = 0;
  await ctx.run('head', ['-c', '5000000', '/dev/zero'], {
    onStdout: async (stream) => {
      for await (const chunk of stream) size += chunk.length;
    },
  });
  assert.equal(size, 5_000_000);
  const disk = new Error('disk full');
  const began = performance.now();
  assert.equal(await rejection(ctx.run('cat', ['/dev/zero'], { onStdout: () => Promise.reject(disk) })), disk);
  assert.equal(
    await rejection(
      ctx.run(...sh('echo x; sleep 30'), {
        onLine: () => {
          throw disk;
        },
      }),
    ),
    disk,
  );
  assert.ok(performance.now() - began < 15_000);
  const truncated = ctx.run(...sh('echo half; exit 2'), {
    onStdout: async (stream) => {
      await buffer(stream);
      throw new Error('no trailer');
    },
  });
  assert.ok(isFailure(await rejection(truncated), 'ToolFailed'), 'the exit code explains the broken stream');
  assert.ok(isFailure(await rejection(ctx.run('cat', ['/dev/zero'])), 'ToolFailed'), 'more than 16 MB');
});

test('a descendant that keeps the pipe open does not hold the step for ever', async () => {
  const ctx = await testContext();
  const began = performance.now();
  const { stdout } = await ctx.run(...sh('setsid sleep 600 & echo done; echo $! >&2'));
  assert.equal(stdout, 'done\n');
  assert.ok(performance.now() - began < 15_000);
  const pid = Number(/\n(\d+)\n/.exec(await ctx.logText())?.[1]);
  process.kill(pid, 'SIGKILL');
});

test('the fence: runs at its epoch only, descendants keep the lock, and a stuck holder is told', async () => {
  const ctx = await testContext();
  const paths = ctx.state.site('cms');
  await writeFile(paths.epoch, '7\n');
  const fence = { lockFile: paths.fenceLock, epochFile: paths.epoch, epoch: 7 };
  assert.equal((await ctx.run('echo', ['in'], { fence })).stdout, 'in\n');
  const moved = await rejection(ctx.run('echo', ['in'], { fence: { ...fence, epoch: 6 } }));
  assert.ok(isFailure(moved, 'SectionRevoked'));
  await ctx.run(...sh('setsid sleep 600 >/dev/null 2>&1 & echo $! >&2'), { fence });
  const pid = Number(/\n(\d+)\n/.exec(await ctx.logText())?.[1]);
  const held = spawn('flock', ['-n', paths.fenceLock, 'true']);
  assert.equal((await once(held, 'exit'))[0], 1);
  process.kill(pid, 'SIGKILL');
  await ctx.run('true', [], { fence });
});

test('kill -9 of the worker: its program dies, what it started for good lives', async (t) => {
  if (!findProgram('setpriv')) return t.skip('setpriv is not installed');
  const ctx = await testContext();
  const worker = runModule(fileURLToPath(new URL('../../support/run-and-wait.ts', import.meta.url)), [ctx.state.root]);
  await eventually(
    'the programs run',
    60_000,
    () => existsSync(join(ctx.state.work, 'started')) && readdirSync(ctx.state.groups).some((f) => f.endsWith('.json')),
  );
  const group = readdirSync(ctx.state.groups).find((f) => f.endsWith('.json')) as string;
  const { pid, label, owner } = JSON.parse(readFileSync(join(ctx.state.groups, group), 'utf8'));
  assert.equal(owner.pid, worker.pid);
  assert.equal(label, 'child: sleep');
  const started = Number(readFileSync(join(ctx.state.work, 'started'), 'utf8'));
  assert.ok(lives(pid) && lives(started));
  worker.kill('SIGKILL');
  await once(worker, 'exit');
  await eventually('the program has ended', 60_000, () => !lives(pid));
  assert.ok(lives(started), 'a start command outlives its worker');
  process.kill(started, 'SIGKILL');
});

test('a start command outlives cancellation, and its failure is told', async () => {
  const ctx = await testContext();
  await mkdir(join(ctx.state.work, 'x'));
  const error = await rejection(ctx.run(...sh('echo why >&2; exit 5'), { outlives: true }));
  assert.ok(isFailure(error, 'ToolFailed'));
  assert.equal(tailOf(error), 'why\n');
  const file = join(ctx.state.work, 'pid');
  const running = rejection(
    ctx.run(...sh(`echo $$ >${file}.new; mv ${file}.new ${file}; exec sleep 600`), { outlives: true }),
  );
  await eventually('it runs', 60_000, () => existsSync(file));
  const reason = new Error('gone');
  ctx.cancel(reason);
  assert.equal(await running, reason);
  const pid = Number(readFileSync(file, 'utf8'));
  assert.ok(lives(pid));
  process.kill(pid, 'SIGKILL');
});

test('what a start command says is in the log, redacted, and in no file of its own', async () => {
  const ctx = await testContext();
  const secretEnv = { TOKEN: 'hunter2hunter2' };
  await ctx.run(...sh('echo "out $TOKEN"; echo "err $TOKEN" >&2'), { outlives: true, secretEnv });
  assert.match(await ctx.logText(), /^out \*{3}\nerr \*{3}$/m);
  for (const name of readdirSync(ctx.state.logs))
    assert.doesNotMatch(readFileSync(join(ctx.state.logs, name), 'utf8'), /hunter2/, name);
});

test('a program that prints a secret says nothing in the log, before anybody could know the secret', async () => {
  const ctx = await testContext();
  const command = ['sh', '-c', 'two=er2; echo "asked for hunt$two-hunt$two" >&2; echo "hunt$two-hunt$two"; exit "$0"'];
  assert.equal(await ctx.secret({ command: [...command, '0'] }), 'hunter2-hunter2');
  const error = await rejection(ctx.secret({ command: [...command, '3'] }));
  assert.doesNotMatch(`${await ctx.logText()} ${JSON.stringify(error)}`, /asked for hunter2|hunter2-hunter2/);
});
