import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { forLostSite } from '../../../activities/preflight/lost-site.js';
import { services } from '../../../activities/services/index.js';
import { testContext } from '../../support/context.js';

test('a restore of a site that is lost whole says where else it can go, and a backup does not', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-lost-'));
  try {
    const ctx = await testContext({ dir: join(dir, 'state') });
    const lost = join(dir, 'lost');
    const start = { argv: ['true'], cwd: lost, timeoutMs: 60_000 };
    const spec = { kind: 'process', name: 'app', pidFile: join(lost, 'run/app.pid'), start } as never;
    await assert.rejects(services.process.preflight(spec, ctx), /correct the name in the config$/);
    await assert.rejects(services.process.preflight(spec, forLostSite(ctx)), /restore with --target/);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
