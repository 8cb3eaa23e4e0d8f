import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BackupRequest } from '../../../activities/contracts.js';
import { ubackupEngine } from '../../../activities/engines/ubackup.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { requestOf } from '../../conformance/engine-fixture.js';
import { testContext } from '../../support/context.js';
import { NO_S3, type S3Server, startS3 } from '../../support/s3-server.js';
import { rsaPair } from '../../support/varasto-site.js';

const opts = { skip: NO_S3 };
const pair = rsaPair();
let s3: S3Server;
let dir = '';
before(async () => {
  if (NO_S3) return;
  s3 = await startS3();
  dir = await mkdtemp(join(tmpdir(), 'holdfast-ubackup-s3-'));
  await writeFile(join(dir, 'id'), s3.env.AWS_ACCESS_KEY_ID);
  await writeFile(join(dir, 'secret'), s3.env.AWS_SECRET_ACCESS_KEY);
  await writeFile(join(dir, 'backups.key'), pair.privateKey);
});
after(async () => {
  if (NO_S3) return;
  await s3.end();
  await rm(dir, { recursive: true, force: true });
});

const repository = (more: object = {}): RepositorySpec =>
  RepositorySpec.parse({
    ...{ name: 'bucket', engine: 'ubackup', location: `s3:${s3.endpoint}/varasto-backups/of-files` },
    ...{ recipients: [pair.publicKey], identity: { file: join(dir, 'backups.key') } },
    credentials: {
      AWS_ACCESS_KEY_ID: { file: join(dir, 'id') },
      AWS_SECRET_ACCESS_KEY: { file: join(dir, 'secret') },
    },
    ...more,
  });

async function request(text: string | Buffer): Promise<BackupRequest> {
  const staging = join(dir, 'staging/current');
  await rm(staging, { recursive: true, force: true });
  await mkdir(join(staging, 'databases/varasto'), { recursive: true });
  await writeFile(join(staging, 'databases/varasto/varasto.export'), text);
  await writeFile(join(staging, 'manifest.json'), '{}');
  const fingerprint = { tables: {}, schemaSha256: '', userVersion: 6 };
  const file = 'databases/varasto/varasto.export';
  const dump = { name: 'varasto', kind: 'http', format: 'varasto', file, bytes: text.length, sha256: '', fingerprint };
  return requestOf([staging], { databases: [{ ...dump, consistency: 'full' }] });
}

test('two captures of one minute in a bucket: both listed, both restored, by hand too', opts, async () => {
  const ctx = await testContext();
  const repo = repository();
  await assert.rejects(ubackupEngine.open(repo, ctx), (error) => isFailure(error, 'RepositoryMissing'));
  assert.match((await ubackupEngine.preflight(repo, ctx)).rclone ?? '', /^1\.\d+/);
  await ubackupEngine.init(repo, ctx);
  await ubackupEngine.init(repo, ctx);
  const texts = ['the first export\n'.repeat(999), randomBytes(50_000)];
  const stored = [];
  for (const text of texts) {
    const asked = await request(text);
    asked.manifest.capturedAt = `2026-11-21T09:51:0${stored.length}.000Z`;
    stored.push({ asked, ...(await ubackupEngine.backup(repo, asked, ctx)) });
  }
  const objects = await readdir(join(s3.dir, 'varasto-backups/of-files/varasto'));
  assert.equal(objects.length, 2);
  for (const name of objects) assert.match(name, /^2026-11-21 0951Z_local_0[01]-[0-9a-f-]{36}\.gz\.aes$/);
  const listed = await ubackupEngine.list(repo, 'site-1', ctx);
  assert.deepEqual(
    listed.map(({ captureId, complete, consistency }) => [captureId, complete, consistency]),
    stored.map(({ asked }) => [asked.manifest.captureId, true, 'full']),
  );
  for (const [n, { asked, snapshot }] of stored.entries()) {
    const staging = asked.manifest.staging;
    const target = await mkdtemp(join(dir, 'out-'));
    await ubackupEngine.restore(repo, snapshot.id, target, { workDir: asked.workDir }, ctx);
    const place = 'databases/varasto/varasto.export';
    assert.deepEqual(await readFile(join(target, staging, place)), Buffer.from(texts[n] ?? ''));
    const lines = ubackupEngine.restoreCommands(repo, asked.manifest).join('\n');
    const hand = await mkdtemp(join(dir, 'hand-'));
    const env = { PATH: process.env.PATH, HOME: hand };
    execFileSync('sh', ['-eu', '-c', lines], { cwd: hand, env, stdio: 'pipe' });
    assert.deepEqual(await readFile(join(hand, 'restored', staging, place)), Buffer.from(texts[n] ?? ''));
    assert.ok(!lines.includes(s3.env.AWS_SECRET_ACCESS_KEY));
  }
  assert.match(
    (await ubackupEngine.check(repo, 'full', { n: 1, of: 1 }, ctx)).said,
    /2 snapshots are whole.*read again/,
  );
  await ubackupEngine.leaveNote(repo, 'RESTORE-site-1.md', 'how', ctx);
  assert.ok(!(await ctx.logText()).includes(s3.env.AWS_SECRET_ACCESS_KEY));

  // A short object is an incomplete snapshot; µbackup's own objects are neither listed nor touched.
  const bucket = join(s3.dir, 'varasto-backups/of-files');
  await writeFile(join(bucket, 'varasto/2026-11-21 0951Z_vm_11731.gz.aes'), 'not ours');
  await truncate(join(bucket, 'varasto', objects[0] ?? ''), 100);
  const states = (await ubackupEngine.list(repo, 'site-1', ctx)).map(({ complete }) => complete);
  assert.deepEqual(states.sort(), [false, true]);
  await assert.rejects(ubackupEngine.check(repo, 'structure', { n: 1, of: 1 }, ctx), (error) =>
    isFailure(error, 'RepositoryDamaged'),
  );
  await ubackupEngine.forget(
    repo,
    stored.map(({ snapshot }) => snapshot.id),
    ctx,
  );
  assert.deepEqual(await readdir(join(bucket, 'varasto')), ['2026-11-21 0951Z_vm_11731.gz.aes']);
});

test('what the bucket refuses is called that', opts, async () => {
  const ctx = await testContext();
  await writeFile(join(dir, 'wrong'), 'another-secret');
  const wrong = repository();
  wrong.credentials.AWS_SECRET_ACCESS_KEY = { file: join(dir, 'wrong') };
  await assert.rejects(ubackupEngine.open(wrong, ctx), (error) => isFailure(error, 'RepositoryDenied'));
  const away = repository({ location: 's3:http://127.0.0.1:1/varasto-backups' });
  await assert.rejects(ubackupEngine.open(away, ctx), (error) => isFailure(error, 'RepositoryUnreachable'));
});
