import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { ObjectStore } from '../../../activities/checks/mediagit-store.js';
import { verifyRepository } from '../../../activities/checks/mediagit-verify.js';
import { apps } from '../../../src/apps/index.js';
import { FileSetSpec } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

const root = '/srv/media';
const EXAMPLE = fileURLToPath(new URL('../../../examples/mediagit/', import.meta.url));
const app = apps.mediagit!;
const planOf = (options: object, names: string[] = []) => {
  const entries = names.map((name) => ({ path: `${root}/${name.replace(/\/$/, '')}`, dir: name.endsWith('/') }));
  const plan = app.plan({ root, options: app.options.parse(options) }, { entries, volumes: [] });
  for (const set of plan.fileSets) FileSetSpec.parse(set);
  return plan;
};

describe('app mediagit', () => {
  it('copies refs and configuration first, and stores objects from where they lie', () => {
    const names = ['.mediagit/', '.mediagit/HEAD', '.mediagit/objects/', '.mediagit/stats/', 'clip.mov', 'shots/'];
    const plan = planOf({}, names);
    assert.deepEqual(
      plan.fileSets.map(({ name, root: at, change, exclude }) => [name, at, change, exclude]),
      [
        ['refs', `${root}/.mediagit`, 'mutable', ['objects', 'holdfast-damaged']],
        ['objects', `${root}/.mediagit/objects`, 'immutable', ['**/*.tmp*']],
      ],
    );
    assert.deepEqual([plan.databases, plan.uncovered], [[], []]);
    assert.match(plan.leftOut?.join('\n') ?? '', /work tree: checked out from the commits/);
  });

  it('knows bare repositories, objects elsewhere, and those of a provider', () => {
    assert.deepEqual(
      planOf({ repository: '.' }).fileSets.map(({ root: at }) => at),
      [root, `${root}/objects`],
    );
    const [refs, objects] = planOf({ objects: '/mnt/big/objects' }).fileSets;
    assert.deepEqual([refs?.exclude, objects?.root], [['holdfast-damaged'], '/mnt/big/objects']);
    const cloud = planOf({ storage: 'cloud' });
    assert.deepEqual(
      cloud.fileSets.map(({ name }) => name),
      ['refs'],
    );
    assert.ok(cloud.leftOut?.includes('objects: kept by the provider'));
  });

  it('takes the work tree where it is asked for, and never the repository twice', () => {
    const plan = planOf({ workTree: true }, ['.mediagit/', 'clip.mov']);
    const tree = plan.fileSets.find(({ name }) => name === 'work-tree');
    assert.deepEqual([tree?.root, tree?.change], [root, 'live']);
    assert.ok(tree?.exclude.some((pattern) => pattern.replaceAll('\\', '') === '.mediagit'));
    assert.deepEqual(plan.uncovered, []);
    assert.throws(() => app.options.parse({ knownLost: ['abc'] }), /whole id/);
  });

  it('the example is the recovery plan of its page, and its repository is a whole one', async () => {
    const config = parse(await readFile(join(EXAMPLE, 'holdfast.yaml'), 'utf8'));
    const { schedule, repositories } = config.sites.media;
    assert.deepEqual(schedule, { backup: '0 2 * * *', verify: 'weekly', restoreTest: 'monthly' });
    assert.equal(repositories.length, 2);
    assert.equal(config.repositories.vault.offsite, true);
    const dir = await mkdtemp(join(tmpdir(), 'holdfast-mediagit-'));
    try {
      const said = execFileSync(process.execPath, [join(EXAMPLE, 'seed.mjs'), '--dir', dir, '--mb', '6'], {
        encoding: 'utf8',
      });
      const git = join(dir, '.mediagit');
      const bad: string[] = [];
      const say = ({ state, id }: { state: string; id: string }) => state === 'good' || bad.push(id);
      const store = await ObjectStore.open(join(git, 'objects'));
      const found = await verifyRepository({ git, store }, { n: 1, of: 1 }, say, await testContext());
      assert.deepEqual([bad, found.refs.filter(({ broken }) => broken)], [[], []]);
      assert.deepEqual([found.hashed.chunk, found.remembered], [2, { there: 3, gone: 0 }]);
      assert.match(said, /deleted scrap [0-9a-f]{64}/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
