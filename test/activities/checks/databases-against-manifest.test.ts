import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Of } from '../../../activities/capture/lines.js';
import { databasesAgainstManifest } from '../../../activities/checks/databases-against-manifest.js';
import type { Restored } from '../../../activities/contracts.js';
import { databases } from '../../../activities/databases/index.js';
import { testContext } from '../../support/context.js';
import { temporary } from '../../support/videocms-site.js';

test('a dump that no server of this machine can load is no proof: each check says what it lacks', async (t) => {
  const ctx = await testContext();
  const root = temporary();
  const file = 'databases/shop/shop.sql';
  const place = join(root, '.holdfast', file);
  await mkdir(join(place, '..'), { recursive: true });
  await writeFile(place, '-- Dump completed\n');
  t.mock.method(databases.mysql, 'load', async () => {
    throw ctx.fail('ToolMissing', 'no mariadbd or mysqld is installed for a throw-away server');
  });
  const fingerprint = { tables: {}, schemaSha256: '', userVersion: 0 };
  const entry = {
    name: 'shop',
    kind: 'mysql',
    format: 'sql',
    file,
    bytes: 18,
    sha256: await sha256Of(place),
    fingerprint,
  };
  const restored = { root, scratch: join(root, 'scratch'), manifest: { databases: [entry] } } as unknown as Restored;
  const checks = await databasesAgainstManifest(restored, ctx);
  assert.deepEqual(
    checks.map(({ name, ok }) => [name, ok]),
    [
      ['shop: file', true],
      ['shop: integrity', false],
      ['shop: tables', false],
      ['shop: rows', false],
    ],
  );
  for (const { evidence } of checks.slice(1)) assert.match(evidence, /could not be made: .*no mariadbd or mysqld/);
});
