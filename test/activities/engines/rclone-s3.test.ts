import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { rcloneEngine } from '../../../activities/engines/rclone.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { oddTree, portrait, requestOf, temp } from '../../conformance/engine-fixture.js';
import { testContext } from '../../support/context.js';
import { NO_S3, type S3Server, startS3 } from '../../support/s3-server.js';

const opts = { skip: NO_S3 };
let s3: S3Server;
let dir = '';
before(async () => {
  if (NO_S3) return;
  s3 = await startS3();
  dir = await temp('rclone-s3');
  await writeFile(join(dir, 'id'), s3.env.AWS_ACCESS_KEY_ID);
  await writeFile(join(dir, 'secret'), s3.env.AWS_SECRET_ACCESS_KEY);
});
after(async () => {
  if (!NO_S3) await s3.end();
});

const repository = (more: object = {}): RepositorySpec =>
  RepositorySpec.parse({
    ...{ name: 'bucket', engine: 'rclone', location: `s3:${s3.endpoint}/media-backups` },
    credentials: {
      AWS_ACCESS_KEY_ID: { file: join(dir, 'id') },
      AWS_SECRET_ACCESS_KEY: { file: join(dir, 'secret') },
    },
    ...more,
  });

test('a bucket gets new content alone; everything comes back, by the engine and by hand', opts, async () => {
  const ctx = await testContext();
  const repo = repository();
  await assert.rejects(rcloneEngine.open(repo, ctx), (error) => isFailure(error, 'RepositoryMissing'));
  // The bucket is its owner's to make: a key that may write objects need not be one that may make buckets.
  await mkdir(join(s3.dir, 'media-backups'));
  await rcloneEngine.init(repo, ctx);
  const tree = join(dir, 'srv/objects');
  await mkdir(tree, { recursive: true });
  await oddTree(tree);
  await writeFile(join(tree, 'big'), randomBytes(3_000_000));
  const request = await requestOf([tree]);
  const first = await rcloneEngine.backup(repo, request, ctx);
  assert.ok(first.addedBytes > 3_000_000);
  await writeFile(join(tree, 'new'), 'new');
  const second = await rcloneEngine.backup(repo, { ...(await requestOf([tree])), workDir: request.workDir }, ctx);
  assert.equal(second.addedBytes, 3, 'only what is new is sent');
  assert.match((await rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, ctx)).said, /^2 snapshots are whole, 7/);

  const target = join(dir, 'out');
  await mkdir(target);
  await rcloneEngine.restore(repo, second.snapshot.id, target, { workDir: dir }, ctx);
  const was = await portrait(tree);
  assert.deepEqual(await portrait(target + tree), was);

  const hand = join(dir, 'hand');
  await mkdir(hand);
  const script = rcloneEngine.restoreCommands(repo, second.snapshot).join('\n');
  assert.ok(!script.includes(s3.env.AWS_SECRET_ACCESS_KEY));
  execFileSync('sh', ['-eu', '-c', script], {
    cwd: hand,
    env: { PATH: process.env.PATH, HOME: hand },
    stdio: 'pipe',
  });
  assert.deepEqual(await portrait(join(hand, 'restored') + tree), was);
});

test(
  'content that another site needs stays when a snapshot goes; a store at work holds the cleaning back',
  opts,
  async () => {
    const ctx = await testContext();
    const repo = repository({ location: `s3:${s3.endpoint}/media-backups/shared` });
    await rcloneEngine.init(repo, ctx);
    const tree = join(dir, 'shared');
    await mkdir(tree);
    await writeFile(join(tree, 'common'), randomBytes(100_000));
    const a = await rcloneEngine.backup(repo, await requestOf([tree], { siteId: 'a' }), ctx);
    await writeFile(join(tree, 'own'), randomBytes(50_000));
    const b = await rcloneEngine.backup(repo, await requestOf([tree], { siteId: 'b' }), ctx);
    const content = async () =>
      (await readdir(join(s3.dir, 'media-backups/shared/content'), { recursive: true })).filter(
        (name) => name.length > 60,
      ).length;
    assert.equal(await content(), 2);
    const pending = join(s3.dir, 'media-backups/shared/pending');
    await mkdir(pending, { recursive: true });
    await writeFile(join(pending, 'somebody'), 'now');
    assert.equal((await rcloneEngine.forget(repo, [b.snapshot.id], ctx)).freedBytes, 0);
    assert.equal(await content(), 2);
    await rm(join(pending, 'somebody'));
    assert.equal((await rcloneEngine.forget(repo, [b.snapshot.id], ctx)).freedBytes, 50_000);
    assert.equal(await content(), 1);
    await rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    assert.deepEqual(await rcloneEngine.sites(repo, ctx), ['a']);
    assert.equal((await stat(join(tree, 'own'))).size, 50_000);
    assert.ok(a.snapshot.complete);
  },
);

test('a wrong key is told as one, and is in no error', opts, async () => {
  await writeFile(join(dir, 'wrong'), 'another-secret');
  const repo = repository();
  const credentials = { ...repo.credentials, AWS_SECRET_ACCESS_KEY: { file: join(dir, 'wrong') } };
  const ctx = await testContext();
  await assert.rejects(rcloneEngine.open({ ...repo, credentials }, ctx), (error: Error) => {
    assert.ok(isFailure(error, 'RepositoryDenied'), String(error));
    assert.ok(!JSON.stringify([error.message, (error as { details?: unknown }).details]).includes('another-secret'));
    return true;
  });
});
