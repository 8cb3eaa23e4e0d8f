import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { markOf, ownMark } from '../../../activities/site/marks.js';
import { endStrays } from '../../../activities/site/strays.js';
import { testContext } from '../../support/context.js';
import { eventually, lives } from '../../support/toy.js';

test('only recorded groups of dead workers are ended, and a reused pid is left alone', async (t) => {
  const { state } = await testContext();
  const start = () => {
    const child = spawn('sh', ['-c', 'sleep 600 & sleep 600'], { detached: true, stdio: 'ignore' });
    t.after(() => void child.kill('SIGKILL'));
    return child.pid as number;
  };
  const [stray, ours, reused, otherBoot] = [start(), start(), start(), start()];
  await eventually('all run', 60_000, () => [stray, ours, reused, otherBoot].every(lives));
  const dead = { ...ownMark(), startTime: '1' };
  const journal = (name: string, group: object) =>
    writeFileSync(join(state.groups, `${name}.json`), JSON.stringify({ label: name, ...group }));
  journal('stray', { ...markOf(stray), owner: dead });
  journal('ours', { ...markOf(ours), owner: ownMark() });
  journal('reused', { ...markOf(reused), startTime: '2', owner: dead });
  journal('other boot', { ...markOf(otherBoot), bootId: 'earlier', owner: { ...dead, bootId: 'earlier' } });
  journal('other namespace', { ...markOf(ours), pidNamespace: 'pid:[1]', owner: { ...dead, pidNamespace: 'pid:[1]' } });
  writeFileSync(join(state.groups, 'torn.json'), '{"pid":');
  writeFileSync(join(state.groups, 'writing.json.new'), '{');
  assert.deepEqual(await endStrays(state), ['stray']);
  assert.deepEqual([stray, ours, reused, otherBoot].map(lives), [false, true, true, true]);
  assert.deepEqual(readdirSync(state.groups).sort(), ['other namespace.json', 'ours.json', 'writing.json.new']);
  assert.deepEqual(await endStrays(state, ({ label }) => label === 'ours'), ['ours']);
  assert.ok(!lives(ours));
});
