import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { wasKilled } from '../../../activities/tools/killed.js';
import { isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';

test('a program that could not begin says nothing of what it was to work on', async () => {
  const ctx = await testContext();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-killed-'));
  await writeFile(join(dir, 'mv'), '#!/bin/sh\nkill -KILL $$\n', { mode: 0o755 });
  const env = { PATH: `${dir}:${process.env.PATH}` };
  assert.ok(wasKilled(await ctx.run('true', [], { env }).catch((cause: unknown) => cause)));
  await rm(dir, { recursive: true });
  await rm(ctx.state.groups, { recursive: true });
  await assert.rejects(ctx.run('true', []), (error) => isFailure(error, 'StateUnusable'));
});

test('a program that somebody ended is told from one that says no, through the programs that run it too', async () => {
  const ctx = await testContext();
  const error = (...argv: string[]) => ctx.run('sh', ['-c', ...argv]).catch((cause: unknown) => cause);
  assert.ok(wasKilled(await error('kill -KILL $$')));
  assert.ok(wasKilled(await error('sh -c "kill -TERM \\$\\$"')));
  assert.ok(!wasKilled(await error('exit 1')));
  assert.ok(!wasKilled(new Error('not a failure of ours')));
});
