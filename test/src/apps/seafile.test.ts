import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { seafile } from '../../../src/apps/seafile.js';
import { gatherFacts } from '../../../src/config/facts.js';
import { loadConfig } from '../../../src/config/load.js';
import { derivePlan } from '../../../src/config/plan.js';
import { DatabaseSpec, FileSetSpec } from '../../../src/core/plan.js';
import { makeSeafile, seafilePlan } from '../../support/seafile-site.js';

const EXAMPLES = fileURLToPath(new URL('../../../examples/seafile/', import.meta.url));
const root = '/srv/haiwen';
const planOf = (options: object = {}, names: string[] = []) => {
  const entries = names.map((name) => ({ path: `${root}/${name.replace(/\/$/, '')}`, dir: name.endsWith('/') }));
  const plan = seafile.plan({ root, options: seafile.options.parse(options) }, { entries, volumes: [] });
  for (const database of plan.databases) DatabaseSpec.parse(database);
  for (const set of plan.fileSets) FileSetSpec.parse(set);
  return plan;
};
const pathsOf = ({ databases }: ReturnType<typeof planOf>) =>
  databases.map((one) => ('path' in one ? one.path?.slice(root.length + 1) : undefined));
const CLASSIC = [
  'ccnet/',
  'ccnet/PeerMgr/',
  'ccnet/OrgMgr/',
  'ccnet/misc/',
  'seafile-data/',
  'seafile-data/storage/',
  'seahub-data/',
  'conf/',
];
const FOUR = ['ccnet/PeerMgr/usermgr.db', 'ccnet/GroupMgr/groupmgr.db', 'seafile-data/seafile.db', 'seahub.db'];

describe('app seafile', () => {
  it('takes all databases of a real tree, the two that its document forgets too, as dated text while it is stopped', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
    try {
      makeSeafile(dir);
      const plan = await seafilePlan(dir);
      assert.deepEqual(
        plan.databases.map((one) => [one.name, one.kind, one.mode, one.format, one.dated]),
        ['usermgr', 'groupmgr', 'seafile', 'seahub', 'orgmgr', 'config'].map((name) => [
          name,
          'sqlite',
          'stopped',
          'sql',
          true,
        ]),
      );
      assert.deepEqual(plan.uncovered, []);
      const docker = join(dir, 'docker');
      makeSeafile(docker, { layout: 'docker', sqlite: false });
      const found = await seafilePlan(docker, { mysql: {} });
      assert.equal(found.fileSets[0]?.root, join(docker, 'seafile/seafile-data/storage'));
      assert.deepEqual((await gatherFacts(docker)).volumes, []);
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('says which databases an installation does not have; those that each has are never left out', () => {
    const plan = planOf({}, [...CLASSIC, 'ccnet/misc/config.db']);
    assert.deepEqual(pathsOf(plan), [...FOUR, 'ccnet/misc/config.db']);
    assert.ok(plan.leftOut?.includes('ccnet/OrgMgr/orgmgr.db: this installation has none'));
    // Another edition keeps one more in the top directory: it is no plain file either.
    assert.ok(pathsOf(planOf({}, [...CLASSIC, 'seafevents.db'])).includes('seafevents.db'));
  });

  it('takes the whole directory: objects as they lie, everything else as it lives, no database among the files', () => {
    const [libraries, site] = planOf({}, CLASSIC).fileSets;
    assert.deepEqual([libraries?.root, libraries?.change], [`${root}/seafile-data/storage`, 'immutable']);
    assert.deepEqual([site?.root, site?.change, site?.include], [root, 'live', []]);
    for (const path of ['seafile-data/storage', 'seahub.db', 'seahub.db-wal', 'ccnet/PeerMgr/usermgr.db', 'pids'])
      assert.ok(site?.exclude.includes(path), path);
  });

  it('an empty machine gets the plan of the site as it was, so that a restore finds its places', () => {
    const plan = planOf();
    assert.equal(plan.databases.length, 6);
    const [libraries, site] = planOf({}, CLASSIC).fileSets;
    assert.deepEqual(plan.fileSets[0], libraries);
    for (const path of site?.exclude ?? []) assert.ok(plan.fileSets[1]?.exclude.includes(path), path);
    assert.ok(
      plan.fileSets[1]?.exclude.includes('seafile/seafile-data/storage'),
      'nothing tells that it is not in Docker',
    );
    assert.deepEqual(planOf({ layout: 'classic' }).fileSets, planOf({}, CLASSIC).fileSets);
  });

  it('MySQL is one dump of three databases, by names that may be chosen, and nothing stops', () => {
    const [one, more] = planOf({ mysql: { user: 'seafile', container: 'db', schemas: { ccnet: 'ccnet-db' } } }, [
      ...CLASSIC,
      'seahub.db',
    ]).databases;
    assert.ok(one?.kind === 'mysql' && more === undefined);
    assert.deepEqual(one.schemas, ['ccnet-db', 'seafile_db', 'seahub_db']);
    assert.deepEqual([one.mode, one.dated, one.container?.service], ['online', true, 'db']);
    assert.equal(planOf({ mysql: {}, online: false }).databases[0]?.mode, 'stopped');
    assert.equal(planOf({ online: true }).databases[0]?.mode, 'online');
  });

  it('follows seafile-data to where it really lies', () => {
    const { databases, fileSets } = planOf({ data: '/mnt/big/seafile-data' }, CLASSIC);
    assert.ok(databases.some((one) => 'path' in one && one.path === '/mnt/big/seafile-data/seafile.db'));
    assert.deepEqual(
      fileSets.map((set) => set.root),
      ['/mnt/big/seafile-data/storage', root, '/mnt/big/seafile-data'],
    );
    assert.ok(fileSets[2]?.exclude.includes('storage') && fileSets[2].exclude.includes('seafile.db-wal'));
  });

  it('keeps a week of dumps whatever `keep` says, and leaves out what its owner leaves out', () => {
    assert.equal(planOf().keepAtLeastMs, 7 * 86_400_000);
    const plan = planOf({ leaveOut: ['logs'] }, [...CLASSIC, 'logs/', 'logs/seafile.log']);
    assert.ok(plan.fileSets[1]?.exclude.includes('logs'));
    assert.deepEqual(plan.uncovered, []);
  });

  it('both examples are configurations, and run at 03:00', async () => {
    for (const file of ['holdfast.yaml', 'holdfast-docker.yaml']) {
      const config = await loadConfig(join(EXAMPLES, file), { look: 'nothing' });
      assert.equal(config.sites.files?.schedule?.backup, '0 3 * * *');
      const plan = derivePlan(config, 'files', { entries: [], volumes: [] }, { host: 'local' });
      assert.equal(plan.services.length, file === 'holdfast.yaml' ? 2 : 1);
      assert.equal(plan.databases[0]?.kind, file === 'holdfast.yaml' ? 'sqlite' : 'mysql');
    }
  });
});
