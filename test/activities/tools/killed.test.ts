import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wasKilled } from '../../../activities/tools/killed.js';
import { testContext } from '../../support/context.js';

test('a program that somebody ended is told from one that says no, through the programs that run it too', async () => {
  const ctx = await testContext();
  const error = (...argv: string[]) => ctx.run('sh', ['-c', ...argv]).catch((cause: unknown) => cause);
  assert.ok(wasKilled(await error('kill -KILL $$')));
  assert.ok(wasKilled(await error('sh -c "kill -TERM \\$\\$"')));
  assert.ok(!wasKilled(await error('exit 1')));
  assert.ok(!wasKilled(new Error('not a failure of ours')));
});
