import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Part, PartInput } from '../../../activities/api.js';
import { part } from '../../../activities/steps/part.js';
import { loadFrozen } from '../../../src/config/freeze.js';
import { isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';

const ASKED: PartInput = {
  ...{ site: 'cms', host: 'box', of: { site: 'cms', host: 'web1' }, siteId: 'cms' },
  ...{ app: 'generic', workflow: 'backup', repository: 'dated' },
};

/** A backup machine that pulls the site `cms` of web1, under another name and with its id. */
async function box() {
  const { state } = await testContext();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-part-'));
  const location = join(dir, 'dated');
  const pull = { address: '192.0.2.10', key: join(dir, 'key'), knownHosts: join(dir, 'known') };
  const site = { app: 'generic', host: 'web1', root: '/srv/cms', service: 'none', repositories: ['dated'] };
  const config = {
    version: 1,
    repositories: {
      dated: { engine: 'rsync', location, keep: { daily: 7 } },
      other: { engine: 'rsync', location: '/x', host: 'third' },
    },
    sites: {
      'web1-cms': { ...site, id: 'cms', pull, repositories: ['dated', 'other'] },
      shop: { ...site, root: '/srv/shop' },
    },
  };
  const configPath = join(dir, 'holdfast.yaml');
  await writeFile(configPath, JSON.stringify(config), { mode: 0o600 });
  const deps = { state, host: 'box', hostId: 'box-id', configPath, namespace: 'n', namespaceId: 'n' };
  const ask = (more: Partial<PartInput> = {}) =>
    new MockActivityEnvironment().run(part(deps), { ...ASKED, ...more }) as Promise<Part>;
  return { ask, state, location };
}

test('a part is what this host itself says: the name that it has for the site, its pull, its keep', async () => {
  const { ask, state } = await box();
  const { site, hostId, prunes, plan } = await ask();
  assert.deepEqual({ site, hostId, prunes }, { site: 'web1-cms', hostId: 'box-id', prunes: '7 daily' });
  const frozen = await loadFrozen(state.plans, plan);
  assert.deepEqual(frozen.of, { site: 'cms', host: 'web1' });
  assert.equal(frozen.pull?.ssh.user, 'root');
  assert.equal(frozen.pull?.state, '/var/lib/holdfast');
  assert.deepEqual(
    frozen.repositories.map(({ name }) => name),
    ['dated'],
  );
});

test('what this host does not say it does not do', async () => {
  const { ask } = await box();
  for (const [more, type, words] of [
    [{ of: { site: 'cms', host: 'web2' } }, 'UnknownSite', /no site of host web2 here has the id cms/],
    [{ siteId: 'another' }, 'UnknownSite', /id another/],
    [{ app: 'seafile' }, 'InvalidConfig', /is seafile on web1, and generic here/],
    [{ repository: 'other' }, 'UnknownRepository', /no repository other here/],
    [{ siteId: 'shop' }, 'InvalidConfig', /does not say where site shop is pulled from/],
    [{ of: { site: '../../etc', host: 'web1' } }, 'InvalidInput', /name of the site/],
  ] as const)
    await assert.rejects(ask(more), (error) => isFailure(error, type) && words.test(error.message));
});

test('a repository that was there before is not made anew', async () => {
  const { ask, location } = await box();
  await assert.rejects(ask({ workflow: 'verify' }), (error) => isFailure(error, 'RepositoryMissing'));
  await ask();
  await rm(location, { recursive: true });
  await assert.rejects(ask(), (error) => isFailure(error, 'RepositoryMissing'));
});
