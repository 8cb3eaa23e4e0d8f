import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { freezePlan, loadFrozen } from '../../../src/config/freeze.js';
import { isFailure } from '../../../src/core/failures.js';
import type { Plan } from '../../../src/core/plan.js';

/** Without `timezone`: as a version wrote it that did not know it. */
const PLAN = {
  schema: 1,
  site: 'cms',
  siteId: 'cms',
  app: 'generic',
  host: 'local',
  root: '/srv/cms',
  services: [],
  databases: [],
  fileSets: [],
  uncovered: [],
  leftOut: [],
  options: { b: 1, a: [{ z: 1, y: 2 }] },
  repositories: [
    {
      name: 'nas',
      engine: 'archive',
      location: '/mnt/nas',
      credentials: {},
      recipients: [],
      requireMount: false,
      offsite: false,
      appendOnly: false,
    },
  ],
  hooks: {},
  operations: {},
  keepAtLeastMs: 0,
  notify: [],
  limits: { downtimeMs: 1, startMs: 2, storeMs: 3, pickupMs: 5, idleMs: 4 },
  objectives: {},
  restore: { approval: 'required' },
  restoreTest: { boot: false, sample: '1/12' },
  configText: '',
} as unknown as Plan;
let dir: string;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-plans-'));
});
after(() => rm(dir, { recursive: true, force: true }));

describe('a frozen plan', () => {
  it('comes back as it was, from a file of its own that only its owner reads', async () => {
    const name = await freezePlan(dir, PLAN);
    assert.match(name, /^[0-9a-f]{12}$/);
    assert.equal(await freezePlan(dir, structuredClone(PLAN)), name);
    assert.deepEqual(await readdir(dir), [`${name}.json`]);
    assert.equal((await stat(join(dir, `${name}.json`))).mode & 0o777, 0o600);
    assert.deepEqual(await loadFrozen(dir, name), { ...PLAN, timezone: 'UTC' });
  });

  it('is refused when it is gone, was changed, or is a path', async () => {
    const name = await freezePlan(dir, PLAN);
    const file = join(dir, `${name}.json`);
    await writeFile(file, (await readFile(file, 'utf8')).replace('/srv/cms', '/srv/xxx'));
    for (const bad of [name, '000000000000', '../../etc/passwd'])
      await assert.rejects(loadFrozen(dir, bad), (error) => isFailure(error, 'StateUnusable'));
  });
});
