import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Holder } from '../../activities/site/api.js';
import { clearTrees, noteTree } from '../../activities/trees.js';
import { testContext } from '../support/context.js';

const holder = (firstRunId: string): Holder => ({
  ...{ namespace: 'n', namespaceId: 'n', workflowId: 'restore-cms', firstRunId, workflow: 'restore' },
});

test('a run clears what it fetched, each attempt of it; what a terminated run left goes after a week', async () => {
  const { state } = await testContext();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-trees-'));
  const [mine, other] = [join(dir, '.site.holdfast-1'), join(dir, '.site.holdfast-2')];
  for (const path of [mine, `${mine}-1`, `${mine}-2`, other, join(dir, 'site')]) await mkdir(path);
  await Promise.all([noteTree(state, 'cms', mine, holder('run-1')), noteTree(state, 'cms', other, holder('run-2'))]);
  await clearTrees(state, 'cms', holder('run-1'));
  assert.deepEqual(
    [mine, `${mine}-1`, `${mine}-2`, other, join(dir, 'site')].map((path) => existsSync(path)),
    [false, false, false, true, true],
  );
  const old = new Date(Date.now() - 9 * 86_400_000).toISOString();
  await writeFile(
    join(state.site('cms').dir, 'trees.json'),
    JSON.stringify([{ path: other, runId: 'run-2', at: old }]),
  );
  await clearTrees(state, 'cms', holder('run-3'));
  assert.equal(existsSync(other), false);
});
