import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, suite, type TestContext, test } from 'node:test';
import { FAILURES, type FailureType } from '../../src/core/failures.js';
import { application } from './application.js';
import { byParts, provokeByPart } from './by-parts.js';
import { byRuns, provokeByRun } from './by-runs.js';
import { type BadLuck, raised } from './case.js';
import { database } from './database.js';
import { disks } from './disks.js';
import { machine } from './machine.js';
import { repositories } from './repositories.js';
import { sources } from './sources.js';
import { MAY_MOUNT, openWorld, type World } from './world.js';

/*
 * Bad luck, each line of it on one site: a real application with a visitor's rows, real tools, a real watchdog and small disks, below
 * the real workflows on a server that skips what a step waits between its attempts.
 *
 * Shown elsewhere: Temporal away before a run by test/src/cli/commands.test.ts (the command says so), during
 * and after one by the blows `server` and `away` of test/crash/cases.ts, at each step. A service that is not there, a stop that hangs
 * and one that lies, for Compose and systemd too, by test/conformance/service-suite.ts; the same of engines by engine-suite.ts.
 */

let world: World | undefined;
before(async () => {
  world = await openWorld();
});
after(() => world?.end());

const LINES: Record<string, BadLuck[]> = { application, database, sources, disks, repositories, machine };

for (const [what, lines] of Object.entries(LINES))
  suite(what, () => {
    for (const { line, mounts, skip, happens } of lines)
      test(line, async (t: TestContext) => {
        if (!world) return t.skip('no time-skipping server: TEMPORAL_TEST_SERVER_PATH is not set');
        if (mounts && !MAY_MOUNT) return t.skip('mounting a small disk needs root');
        if (skip) return t.skip(skip);
        await happens(world, t);
      });
  });

/** Raised where this file has nothing of: a user's own workflow, a MediaGit site. */
const ELSEWHERE: Partial<Record<FailureType, string>> = {
  RequiredBackupFailed: 'test/workflows/require-backup.test.ts',
  VerifyFailed: 'test/integration/mediagit.test.ts',
};

suite('every failure of the catalogue can be provoked', () => {
  for (const [table, provoke] of [
    [byParts, provokeByPart],
    [byRuns, provokeByRun],
  ] as const)
    for (const type of Object.keys(table) as FailureType[])
      test(type, async (t: TestContext) => {
        if (!world) return t.skip('no time-skipping server: TEMPORAL_TEST_SERVER_PATH is not set');
        if (type === 'RepositoryDenied' && !MAY_MOUNT) return t.skip('mounting a small disk needs root');
        await provoke(world, type);
      });

  test('and none is left out', async (t: TestContext) => {
    if (!world || !MAY_MOUNT) return t.skip('not all of them could be provoked here');
    for (const [type, file] of Object.entries(ELSEWHERE)) {
      assert.match(await readFile(file, 'utf8'), new RegExp(`\\b${type}\\b`), `${file} shows ${type}`);
      raised.add(type as FailureType);
    }
    assert.deepEqual([...raised].sort(), Object.keys(FAILURES).sort());
  });
});
