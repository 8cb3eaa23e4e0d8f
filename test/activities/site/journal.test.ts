import assert from 'node:assert/strict';
import { existsSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetJournals, once } from '../../../activities/site/journal.js';
import { testContext } from '../../support/context.js';

test('a finished step is not run again, a failed one is, and each capture has its own', async () => {
  const { state } = await testContext();
  let runs = 0;
  const step = (captureId: string, name: string, fails = false) =>
    once(state, 'cms', captureId, name, async () => {
      runs++;
      if (fails) throw new Error('no');
      return { said: `run ${runs}`, bytes: 5 };
    });
  await assert.rejects(step('c1', 'dump', true));
  assert.deepEqual(await step('c1', 'dump'), { said: 'run 2', bytes: 5 });
  assert.deepEqual(await step('c1', 'dump'), { said: 'run 2', bytes: 5 });
  await step('c1', 'store/nas');
  await step('c2', 'dump');
  assert.equal(runs, 4);
  assert.deepEqual(readdirSync(state.captures('cms')).sort(), ['c1.journal', 'c2.journal']);
  await step('c3', 'dump');
  const old = new Date(Date.now() - 86_400_000);
  utimesSync(join(state.captures('cms'), 'c2.journal'), old, old);
  await forgetJournals(state, 'cms', 3600_000);
  assert.ok(
    !existsSync(join(state.captures('cms'), 'c2.journal')) && existsSync(join(state.captures('cms'), 'c3.journal')),
  );
});
