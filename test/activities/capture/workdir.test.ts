import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { sweepWork, withDirIn } from '../../../activities/capture/workdir.js';
import { openState } from '../../../activities/site/state.js';
import { temp } from '../../conformance/engine-fixture.js';

const module = new URL('../../../activities/capture/workdir.ts', import.meta.url).href;
/** Runs this in a process that dies of it. */
function dies(script: string, env: Record<string, string> = {}): void {
  const whole = `const w = await import(${JSON.stringify(module)}); const die = () => process.kill(process.pid, 'SIGKILL'); ${script}`;
  const { signal } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', whole], {
    env: { ...process.env, ...env },
  });
  assert.equal(signal, 'SIGKILL');
}

test('a directory goes after its use, and that of a killed worker before the next one', async () => {
  const work = await temp('workdir');
  dies(`await w.withDirIn(${JSON.stringify(work)}, die);`);
  const [left = ''] = readdirSync(work);
  assert.ok(left, 'the killed one left its directory');
  const dir = await withDirIn(work, async (each) => {
    assert.ok(!existsSync(join(work, left)));
    assert.equal(statSync(each).mode & 0o777, 0o700);
    return each;
  });
  assert.ok(!existsSync(dir));
});

test('all that a killed worker left in the work area goes at the next boot, and what it had outside; nothing else', async () => {
  const state = await openState(await temp('sweep'));
  const [outside, repository] = [await temp('outside'), join(state.work, 'cache', 'nas')];
  mkdirSync(join(repository, 'restic'), { recursive: true });
  mkdirSync(join(outside, 'hf-0123456789ab'));
  const [work, cache, nas] = [state.work, join(state.work, 'cache'), repository].map((each) => JSON.stringify(each));
  dies(
    `const { writeFileSync } = await import('node:fs');
    writeFileSync(w.freshName(${nas}), 'a list'); await w.freshDir(${work});
    await w.withDirOutside(${cache}, (dir) => { writeFileSync(dir + '/data', 'rows'); die(); });`,
    { TMPDIR: outside },
  );
  const places = () => readdirSync(outside).filter((name) => name.startsWith('hf-'));
  assert.equal(places().length, 2);
  assert.equal(readdirSync(repository).length, 2);
  await withDirIn(state.work, async (mine) => {
    await sweepWork(state);
    assert.deepEqual(readdirSync(state.work).sort(), ['cache', basename(mine)].sort());
  });
  assert.deepEqual(readdirSync(join(state.work, 'cache')), ['nas']);
  assert.deepEqual(readdirSync(repository), ['restic']);
  assert.deepEqual(places(), ['hf-0123456789ab']);
});
