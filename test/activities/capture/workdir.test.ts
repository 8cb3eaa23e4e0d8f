import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { withDirIn } from '../../../activities/capture/workdir.js';
import { temp } from '../../conformance/engine-fixture.js';

test('a directory goes after its use, and that of a killed worker before the next one', async () => {
  const work = await temp('workdir');
  const module = new URL('../../../activities/capture/workdir.ts', import.meta.url).href;
  const dies = `const { withDirIn } = await import(${JSON.stringify(module)});
    await withDirIn(${JSON.stringify(work)}, () => process.kill(process.pid, 'SIGKILL'));`;
  const { signal } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', dies]);
  assert.equal(signal, 'SIGKILL');
  const [left = ''] = readdirSync(work);
  assert.ok(left, 'the killed one left its directory');
  const dir = await withDirIn(work, async (each) => {
    assert.ok(!existsSync(join(work, left)));
    assert.equal(statSync(each).mode & 0o777, 0o700);
    return each;
  });
  assert.ok(!existsSync(dir));
});
