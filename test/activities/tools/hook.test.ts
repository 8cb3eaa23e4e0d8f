import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runHook } from '../../../activities/tools/hook.js';
import { type FailureDetails, isFailure } from '../../../src/core/failures.js';
import { Command } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

const facts = { site: 'cms', run: 'backup-cms-1', workflow: 'backup', outcome: 'partial' };
const shell = (script: string, more: Partial<Command> = {}) =>
  Command.parse({ argv: ['/bin/sh', '-c', script], cwd: '/', ...more });

test('a hook learns site, run and outcome, and gets its own variables and secrets', async () => {
  const ctx = await testContext({ step: 'hook' });
  process.env.HOOK_TEST_SECRET = 'hush-hush-1';
  const seen = '$HOLDFAST_SITE $HOLDFAST_RUN $HOLDFAST_OUTCOME $HOLDFAST_HOOK $MODE $KEY $PWD';
  const command = shell(`test "${seen}" = "cms backup-cms-1 partial after x hush-hush-1 /tmp"`, {
    cwd: '/tmp',
    env: { MODE: 'x', KEY: { env: 'HOOK_TEST_SECRET' } },
  });
  assert.deepEqual(await runHook('after', command, facts, ctx), { skip: false, said: 'The hook after succeeded' });
});

test('a condition that ends with 75 skips; no other hook can', async () => {
  const ctx = await testContext({ step: 'hook' });
  assert.deepEqual(await runHook('condition', shell('exit 75'), facts, ctx), {
    skip: true,
    said: 'The condition says: not now',
  });
  assert.equal((await runHook('condition', shell('exit 0'), facts, ctx)).skip, false);
  await assert.rejects(runHook('before', shell('exit 75'), facts, ctx), (e) => isFailure(e, 'HookFailed'));
});

test('any other exit code is HookFailed, with the code and a redacted tail', async () => {
  const ctx = await testContext({ step: 'hook' });
  process.env.HOOK_TEST_SECRET = 'hush-hush-2';
  const command = shell('echo "no: $KEY" >&2; exit 3', { env: { KEY: { env: 'HOOK_TEST_SECRET' } } });
  await assert.rejects(runHook('condition', command, facts, ctx), (error) => {
    assert.ok(isFailure(error, 'HookFailed'));
    assert.match(error.message, /^hook on local: the hook condition ended with exit code 3; /);
    const details = error.details?.[0] as FailureDetails;
    assert.equal(details.exitCode, 3);
    assert.match(details.stderrTail ?? '', /^no: /);
    assert.doesNotMatch(JSON.stringify(error.details), /hush/);
    return true;
  });
});

test('a hook that hangs is ended', async () => {
  const ctx = await testContext({ step: 'hook' });
  await assert.rejects(runHook('before', shell('sleep 60', { timeoutMs: 300 }), facts, ctx), (e) =>
    isFailure(e, 'ToolStalled'),
  );
});
