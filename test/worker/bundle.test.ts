import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bundle } from '../../worker/bundle.js';

test('the workflows of Holdfast are pure: their bundle holds no machine code', async () => {
  const { code } = await bundle();
  for (const workflow of ['backup', 'restore', 'restoreTest', 'verify', 'prune', 'repair', 'watch'])
    assert.ok(code.includes(workflow));
  // The bundler refuses Node's modules by itself; these would show that a part or a config slipped in.
  for (const foreign of [
    'node:child_process',
    'execa',
    'activities/steps',
    'activities/tools',
    'src/config',
    'src/client',
  ]) {
    assert.ok(!code.includes(`./${foreign}`) && !code.includes(`require("${foreign}")`), `${foreign} is in the bundle`);
  }
});
