import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readRecord, updateRecord } from '../../../activities/site/record.js';
import { holdLock } from '../../../activities/tools/lock.js';
import { testContext } from '../../support/context.js';
import { eventually, runModule } from '../../support/toy.js';

const COUNTER = fileURLToPath(new URL('../../support/record-counter.ts', import.meta.url));

test('changes of several processes, some of them killed, are never lost or torn', async () => {
  const { state } = await testContext();
  const paths = state.site('cms');
  const children = [1, 2].map(() => runModule(COUNTER, [state.root]));
  const counts = children.map(() => 0);
  for (const [n, child] of children.entries())
    child.stdout.on('data', (text: Buffer) => {
      counts[n] = (counts[n] ?? 0) + text.toString().split('\n').length - 1;
    });
  const counted = () => counts.reduce((sum, each) => sum + each, 0);
  await eventually('both count', 60_000, () => counts.every((each) => each > 5));
  const before = counted();
  for (let reads = 0; reads < 200 || counted() < before + 20; reads++) {
    assert.ok((await readRecord(paths, 'cms')).epoch >= 0);
    await sleep(2);
  }
  for (const child of children) child.kill('SIGKILL');
  await Promise.all(children.map((child) => once(child, 'close')));
  const { epoch } = await updateRecord(paths, 'cms', (record) => ({ ...record, stopTimeoutMs: 1 }));
  // A child may die after its change and before it says so.
  assert.ok(epoch >= counted() && epoch <= counted() + 2, `${epoch} changes, ${counted()} told`);
  assert.equal(JSON.parse(readFileSync(paths.record, 'utf8')).epoch, epoch);
});

test('a change that throws changes nothing and frees the lock', async () => {
  const { state } = await testContext();
  const paths = state.site('cms');
  await updateRecord(paths, 'cms', (record) => ({ ...record, epoch: 4 }));
  await assert.rejects(
    updateRecord(paths, 'cms', () => {
      throw new Error('no');
    }),
    /^Error: no$/,
  );
  assert.equal((await updateRecord(paths, 'cms', () => undefined)).epoch, 4);
  assert.deepEqual(readdirSync(paths.dir).sort(), ['record.json', 'record.lock']);
});

test('a held lock is busy for others, is not inherited by what we start, and goes after its limit', async () => {
  const { state } = await testContext();
  const file = state.site('cms').recordLock;
  const lock = await holdLock(file, { waitSeconds: 0 });
  assert.ok(lock);
  assert.equal(await holdLock(file, { waitSeconds: 0 }), undefined);
  const child = spawn('sleep', ['600']);
  await lock.release();
  const limited = await holdLock(file, { waitSeconds: 0, limitSeconds: 0.3 });
  assert.ok(limited, 'no child keeps it');
  const next = await holdLock(file, { waitSeconds: 60 });
  assert.ok(next, 'it went by itself');
  assert.equal(await limited.ask('anything'), undefined);
  await Promise.all([limited.release(), next.release()]);
  child.kill('SIGKILL');
});
