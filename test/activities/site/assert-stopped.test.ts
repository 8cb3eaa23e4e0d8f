import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { services } from '../../../activities/services/index.js';
import { assertStopped } from '../../../activities/site/assert-stopped.js';
import { type FailureDetails, isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';
import { createToy, eventually } from '../../support/toy.js';

test('a service that runs is NotStopped by name', async (t) => {
  const ctx = await testContext();
  const toy = await createToy();
  t.after(toy.end);
  await assertStopped([toy.spec], [toy.dir], ctx);
  await services.process.start(toy.spec, ['toy'], ctx);
  await assert.rejects(
    assertStopped([toy.spec], [], ctx),
    (error) => isFailure(error, 'NotStopped') && /toy/.test(error.message),
  );
});

test('a process that outlived its application and writes is named; one that reads is not', async (t) => {
  const ctx = await testContext();
  const dir = join(ctx.state.work, 'videos');
  mkdirSync(dir);
  writeFileSync(join(dir, 'segment.ts'), 'x');
  symlinkSync(dir, join(ctx.state.work, 'link'));
  const hold = (redirection: string) => {
    const child = spawn('sh', ['-c', `exec sleep 600 ${redirection}${join(dir, 'segment.ts')}`]);
    t.after(() => void child.kill('SIGKILL'));
    return child;
  };
  hold('<');
  await assertStopped([], [dir], ctx);
  const child = hold('>>');
  const failed = async (path: string): Promise<Error | undefined> =>
    assertStopped([], [path], ctx).then(
      () => undefined,
      (error: Error) => error,
    );
  // Its shell has opened the file before it becomes that program.
  await eventually('it writes', 60_000, async () => /sleep/.test((await failed(dir))?.message ?? ''));
  for (const path of [dir, join(ctx.state.work, 'link'), join(dir, 'segment.ts')]) {
    const error = await failed(path);
    assert.ok(isFailure(error, 'StillWriting'), path);
    assert.match(error.message, new RegExp(`sleep \\(pid ${child.pid}\\) still writes`));
    assert.equal((error.details?.[0] as FailureDetails | undefined)?.places?.length, 1);
  }
  await assertStopped([], [join(ctx.state.work, 'vid')], ctx);
});
