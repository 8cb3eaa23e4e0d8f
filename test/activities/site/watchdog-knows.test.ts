import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { after, it } from 'node:test';
import { bootClock, markOf } from '../../../activities/site/marks.js';
import { watchdogKnows } from '../../../activities/site/watchdog-knows.js';
import { isFailure } from '../../../src/core/failures.js';
import { DatabaseSpec, type SecretRef } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

let child: ChildProcess | undefined;
after(() => child?.kill());

it('refuses a secret that only the worker has, and none that the watchdog can have too', async () => {
  const ctx = await testContext();
  const spec = (password: SecretRef) =>
    DatabaseSpec.parse({ kind: 'mysql', name: 'shop', mode: 'stopped', schemas: ['shop'], password });
  const command = DatabaseSpec.parse({
    kind: 'command',
    name: 'export',
    mode: 'stopped',
    dump: { argv: ['true'], env: { MODE: 'x', KEY: { env: 'ONLY_OF_THE_WORKER' } } },
  });
  await watchdogKnows([spec({ env: 'ONLY_OF_THE_WORKER' })], ctx.state, ctx);
  child = spawn('sleep', ['1000'], { env: { PATH: process.env.PATH, OF_BOTH: 'x' } });
  await once(child, 'spawn');
  const mark = markOf(child.pid as number);
  const seen = { ...mark, seen: bootClock(), startedAt: new Date().toISOString() };
  writeFileSync(ctx.state.watchdog, JSON.stringify(seen));
  for (const password of [{ env: 'OF_BOTH' }, { file: '/x' }, { command: ['x'] }])
    await watchdogKnows([spec(password)], ctx.state, ctx);
  for (const one of [spec({ env: 'ONLY_OF_THE_WORKER' }), command])
    await assert.rejects(watchdogKnows([one], ctx.state, ctx), (error) => {
      assert.ok(isFailure(error, 'RestoreRefused'));
      return /the watchdog has no variable ONLY_OF_THE_WORKER, so it could not put (shop|export) back/.test(
        error.message,
      );
    });
});
