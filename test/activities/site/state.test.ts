import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bootClock, liveness, markOf, ownMark } from '../../../activities/site/marks.js';
import { defaultStateDir, openState, readHostId } from '../../../activities/site/state.js';

test('the state directory is its owner’s alone, and two that open it at once agree on the host', async () => {
  const root = join(mkdtempSync(join(tmpdir(), 'holdfast-')), 'state');
  const states = await Promise.all([1, 2, 3, 4].map(() => openState(root)));
  const ids = new Set(await Promise.all(states.map(readHostId)));
  assert.equal(ids.size, 1);
  assert.match([...ids][0] ?? '', /^[0-9a-f-]{36}$/);
  assert.deepEqual(new Set(await Promise.all([openState(root)].map(async (s) => readHostId(await s)))), ids);
  states[0]?.site('cms');
  for (const name of ['.', 'sites/cms', 'groups', 'logs'])
    assert.equal(statSync(join(root, name)).mode & 0o777, 0o700, name);
  assert.deepEqual(
    readdirSync(root).filter((name) => name.startsWith('host-id')),
    ['host-id'],
  );
  assert.equal(defaultStateDir({ HOLDFAST_STATE_DIR: '/x/y' }), '/x/y');
});

test('marks tell a process from a later one, another boot and another namespace', () => {
  const own = ownMark();
  assert.equal(liveness(own), 'alive');
  assert.equal(liveness({ ...own, startTime: '1' }), 'dead');
  assert.equal(liveness({ ...own, bootId: 'earlier' }), 'dead');
  assert.equal(liveness({ ...own, pidNamespace: 'pid:[1]' }), 'unknown');
  assert.equal(markOf(2 ** 22 + 1), undefined);
  assert.ok(bootClock() > 0);
});
