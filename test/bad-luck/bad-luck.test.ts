import { after, before, suite, type TestContext, test } from 'node:test';
import { application } from './application.js';
import type { BadLuck } from './case.js';
import { database } from './database.js';
import { disks } from './disks.js';
import { machine } from './machine.js';
import { repositories } from './repositories.js';
import { sources } from './sources.js';
import { MAY_MOUNT, openWorld, type World } from './world.js';

let world: World | undefined;
before(async () => {
  world = await openWorld();
});
after(() => world?.end());

const LINES: Record<string, BadLuck[]> = { application, database, sources, disks, repositories, machine };

for (const [what, lines] of Object.entries(LINES))
  suite(what, () => {
    for (const { line, mounts, happens } of lines)
      test(line, async (t: TestContext) => {
        if (!world) return t.skip('no time-skipping server: TEMPORAL_TEST_SERVER_PATH is not set');
        if (mounts && !MAY_MOUNT) return t.skip('mounting a small disk needs root');
        await happens(world, t);
      });
  });
