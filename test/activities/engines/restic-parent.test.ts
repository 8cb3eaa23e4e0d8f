import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { resticEngine } from '../../../activities/engines/restic.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { requestOf, temp } from '../../conformance/engine-fixture.js';
import { CHEAP_PASSWORD, layCheapRepository } from '../../support/cheap-restic.js';
import { testContext } from '../../support/context.js';

const skip = findProgram('restic') ? false : 'restic is not installed';

test('a backup names the snapshot before it without asking for it, and does without where it has gone', {
  skip,
}, async () => {
  const dir = await temp('parent');
  const [tree, file] = [join(dir, 'tree'), join(dir, 'password')];
  await mkdir(tree);
  await writeFile(join(tree, 'a'), 'a');
  await writeFile(file, CHEAP_PASSWORD, { mode: 0o600 });
  const repo = RepositorySpec.parse({ name: 'nas', engine: 'restic', location: join(dir, 'repo'), password: { file } });
  await layCheapRepository(repo.location);
  const request = await requestOf([tree]);
  const backup = async () => {
    const ctx = await testContext();
    const { snapshot } = await resticEngine.backup(repo, request, ctx);
    const calls = (await ctx.logText()).split('\n').filter((line) => /^# \S+ restic /.test(line));
    const parents = calls.flatMap((call) => /--parent (\w+)/.exec(call)?.[1] ?? []);
    return { id: snapshot.id, parents, calls: calls.length };
  };
  const first = await backup();
  assert.deepEqual(first.parents, []);
  const second = await backup();
  assert.deepEqual(second.parents, [first.id]);
  assert.equal(second.calls, first.calls - 1);
  await resticEngine.forget(repo, [second.id], await testContext());
  const third = await backup();
  assert.deepEqual(third.parents, [second.id, first.id], 'what has gone is looked up');
  assert.deepEqual((await backup()).parents, [third.id]);
});
