import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { readManifest, seal } from '../../../activities/capture/seal.js';
import { sqliteDatabase } from '../../../activities/databases/sqlite.js';
import { bootId } from '../../../activities/site/marks.js';
import { isFailure } from '../../../src/core/failures.js';
import { type DatabaseSpec, Plan } from '../../../src/core/plan.js';
import { type TestContext, testContext } from '../../support/context.js';
import { planIn } from '../../support/pipeline.js';

let dir: string;
let ctx: TestContext;
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-seal-'));
  ctx = await testContext({ site: 'live', dir: join(dir, 'state') });
});
after(() => rm(dir, { recursive: true, force: true }));

/** A capture as `dump` commits it while the application waits: the database copied, and nothing read of it yet. */
async function committed(sql: string, copiedIn: string): Promise<{ plan: Plan; manifest: string }> {
  const root = await mkdtemp(join(dir, 'site-'));
  const path = join(root, 'app.db');
  execFileSync('sqlite3', [path, sql]);
  const spec: Extract<DatabaseSpec, { kind: 'sqlite' }> = {
    ...{ kind: 'sqlite', name: 'app', path, format: 'file', mode: 'stopped' },
  };
  const plan = Plan.parse(await planIn(dir, { root, app: 'generic', fileSets: [], databases: [spec] }));
  const staging = join(ctx.state.staging('live'), 'current');
  await rm(staging, { recursive: true, force: true });
  await mkdir(join(staging, 'databases/app'), { recursive: true });
  const { file, ...copied } = await sqliteDatabase.halves!.copy(spec, join(staging, 'databases/app'), undefined, ctx);
  const unread = { sha256: '', fingerprint: { tables: {}, schemaSha256: '', userVersion: 0 }, unread: true };
  const now = new Date().toISOString();
  const manifest = join(staging, 'manifest.json');
  await writeFile(
    manifest,
    JSON.stringify({
      ...{ schema: 1, holdfast: '0', captureId: 'c', runId: 'r', site: 'live', siteId: 'live', app: 'generic' },
      ...{ host: 'local', root, kind: 'regular', capturedAt: now, filesAsOf: now, consistency: 'stopped', staging },
      databases: [
        { name: 'app', kind: 'sqlite', format: 'file', path, ...copied, file: `databases/app/${file}`, ...unread },
      ],
      ...{ fileSets: [], copiedIn, uncovered: [], tools: {}, notes: [] },
    }),
  );
  return { plan, manifest };
}

test('a copy that was only made while the application was down is hashed and counted before it is stored', async () => {
  const { plan, manifest } = await committed('CREATE TABLE t (x); INSERT INTO t VALUES (1), (2);', bootId());
  const { databases, copiedIn } = await seal(ctx.state, plan, ctx);
  assert.deepEqual(databases[0]?.fingerprint.tables, { t: 2 });
  assert.match(databases[0]?.sha256 ?? '', /^[0-9a-f]{64}$/);
  assert.equal(copiedIn, undefined);
  const text = await readFile(manifest, 'utf8');
  assert.doesNotMatch(text, /unread|copiedIn/, 'nothing of that is in a snapshot');
  assert.deepEqual((await readManifest(manifest)).databases, databases);
});

test('one of before a restart of the machine may be torn: it is no capture', async () => {
  const { plan } = await committed('CREATE TABLE t (x);', 'another boot');
  await assert.rejects(seal(ctx.state, plan, ctx), (error: Error) => {
    assert.ok(isFailure(error, 'SnapshotMissing'));
    assert.match(error.message, /machine restarted before the capture was on its disk; start the backup again/);
    return true;
  });
});

test('a copy without a table is no dump, also when that is seen later', async () => {
  const { plan } = await committed('CREATE TABLE t (x); DROP TABLE t;', bootId());
  await assert.rejects(seal(ctx.state, plan, ctx), (error) => isFailure(error, 'DumpEmpty'));
});
