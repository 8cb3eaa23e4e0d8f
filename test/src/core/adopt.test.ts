import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergeConfigs, secretFiles } from '../../../src/core/adopt.js';

const cms = {
  version: 1,
  defaults: { timezone: 'UTC' },
  repositories: { nas: { engine: 'restic', location: '/mnt/nas' } },
  sites: { cms: { app: 'videocms' } },
};

test('the parts of several sites become one config', () => {
  const wiki = {
    version: 1,
    defaults: { timezone: 'UTC' },
    repositories: cms.repositories,
    sites: { wiki: { app: 'generic' } },
  };
  const { config, notes } = mergeConfigs([
    { site: 'cms', capturedAt: '2026-11-20T03:00:00Z', config: cms },
    { site: 'wiki', capturedAt: '2026-11-21T03:00:00Z', config: wiki },
  ]);
  assert.deepEqual(config, { ...cms, sites: { wiki: { app: 'generic' }, cms: { app: 'videocms' } } });
  assert.deepEqual(notes, []);
});

test('where they differ the newer one wins, and a note says it; the order of keys is no difference', () => {
  const wiki = { repositories: { nas: { location: '/mnt/old', engine: 'restic' } }, sites: {}, version: 1 };
  const same = { repositories: { nas: { location: '/mnt/nas', engine: 'restic' } }, version: 1 };
  const { config, notes } = mergeConfigs([
    { site: 'wiki', capturedAt: '2025-01-01T00:00:00Z', config: wiki },
    { site: 'same', capturedAt: '2026-01-01T00:00:00Z', config: same },
    { site: 'cms', capturedAt: '2026-11-20T03:00:00Z', config: cms },
  ]);
  assert.deepEqual(config.repositories, cms.repositories);
  assert.deepEqual(notes, ['repositories.nas differs in the snapshot of wiki, which is older; look at it']);
});

test('the secret files of a config are found, each once', () => {
  const config = {
    notify: { ops: { webhook: { file: '/b' } } },
    repositories: { nas: { password: { file: '/a' }, credentials: { X: { file: '/b' }, Y: { env: 'Y' } } } },
  };
  assert.deepEqual(secretFiles(config), ['/a', '/b']);
});
