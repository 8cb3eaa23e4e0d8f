import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { mustComeBack, servedOf } from '../../../activities/steps/served.js';
import { isFailure } from '../../../src/core/failures.js';
import type { Manifest } from '../../../src/core/manifest.js';
import { DatabaseSpec, type Plan, ServiceSpec } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';
import { NO_MYSQL } from '../../support/mysql-server.js';
import { temporary } from '../../support/videocms-site.js';

it('a database whose server is stopped with the application is not exchanged', { skip: NO_MYSQL }, async () => {
  const ctx = await testContext();
  const dir = temporary();
  const fence = { lockFile: join(dir, 'lock'), epochFile: join(dir, 'epoch'), epoch: 1 };
  writeFileSync(fence.epochFile, '1\n');
  const base = { name: 'shop', mode: 'online' };
  const stopped = DatabaseSpec.parse({ ...base, kind: 'mysql', schemas: ['shop'], socket: join(dir, 'none') });
  const printed = DatabaseSpec.parse({ ...base, kind: 'command', dump: { argv: ['true'] }, load: { argv: ['true'] } });
  await mustComeBack([{ spec: printed, tag: 'a' }], fence, ctx);
  await assert.rejects(mustComeBack([{ spec: stopped, tag: 'a' }], fence, ctx), (error) => {
    assert.ok(isFailure(error, 'RestoreFailed'));
    return /shop cannot be reached while the application is stopped; leave its server out/.test(error.message);
  });
  const revoked = mustComeBack([{ spec: stopped, tag: 'a' }], { ...fence, epoch: 2 }, ctx);
  await assert.rejects(revoked, (error) => isFailure(error, 'SectionRevoked'));
});

it('a database in a container that the site stops is refused before anything stops', async () => {
  const ctx = await testContext();
  const file = '/srv/cms/compose.yaml';
  const container = { file, service: 'db' };
  const spec = DatabaseSpec.parse({ kind: 'postgres', name: 'wiki', mode: 'online', database: 'wiki', container });
  const manifest = { databases: [{ name: 'wiki', kind: 'postgres', file: 'wiki.dump' }] } as unknown as Manifest;
  const served = (services: string[]) => {
    const service = ServiceSpec.parse({ kind: 'compose', name: 'cms', file, services });
    const plan = { databases: [spec], services: [service] } as unknown as Plan;
    return servedOf(manifest, '/srv/new', plan, undefined, ctx);
  };
  assert.equal(served(['web']).length, 1);
  assert.throws(
    () => served(['web', 'db']),
    (error) => isFailure(error, 'RestoreRefused') && /db would be stopped with the application/.test(error.message),
  );
});
