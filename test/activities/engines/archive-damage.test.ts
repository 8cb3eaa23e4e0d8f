import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import type { Context } from '../../../activities/contracts.js';
import { archiveEngine as engine } from '../../../activities/engines/archive.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { requestOf, temp } from '../../conformance/engine-fixture.js';
import { testContext } from '../../support/context.js';

async function stored(ctx: Context, more: object = {}) {
  const dir = await temp('archive');
  const repo = RepositorySpec.parse({ name: 'vault', engine: 'archive', location: join(dir, 'repo'), ...more });
  await engine.init(repo, ctx);
  const tree = join(dir, 'srv');
  await mkdir(tree);
  await writeFile(join(tree, 'one'), randomBytes(100_000));
  await writeFile(join(tree, 'two'), randomBytes(100_000));
  const request = await requestOf([tree]);
  const { snapshot } = await engine.backup(repo, request, ctx);
  const site = join(repo.location, 'site-1');
  const name = (await readdir(site)).find((each) => each.includes('.tar.')) ?? '';
  const target = join(dir, 'out');
  await mkdir(target);
  return { dir, repo, tree, request, id: snapshot.id, site, name, file: join(site, name), target };
}

const FULL = { n: 1, of: 1 };
const damaged = (error: unknown) => isFailure(error, 'RepositoryDamaged');

test('an archive cut at a member boundary, where tar sees nothing wrong, is found everywhere', async () => {
  const ctx = await testContext();
  const { repo, id, site, name, file, target, tree } = await stored(ctx);
  const plain = join(target, 'plain.tar');
  execFileSync('sh', ['-c', 'zstd -dqc "$1" >"$2" || gzip -dc "$1" >"$2"', 'sh', file, plain], { stdio: 'pipe' });
  const whole = execFileSync('tar', ['-tRf', plain], { encoding: 'utf8' });
  const block = Number(/block (\d+): \S*two/.exec(whole)?.[1]) || Number(/block (\d+): \S*one/.exec(whole)?.[1]);
  await truncate(plain, block * 512);
  execFileSync('tar', ['-tf', plain], { stdio: 'pipe' });
  execFileSync('zstd', ['-qf', plain, '-o', file], { stdio: 'pipe' });
  const out = join(target, 'x');
  await mkdir(out);
  assert.deepEqual(
    (await engine.list(repo, 'site-1', ctx)).map(({ complete }) => complete),
    [false],
  );
  await assert.rejects(engine.check(repo, 'structure', FULL, ctx), damaged);
  // Even where its length were right: the hash is compared on each reading.
  const mark = JSON.parse(await readFile(join(site, `${id}.json`), 'utf8'));
  mark.bytes = (await readFile(file)).length;
  await writeFile(join(site, `${id}.json`), JSON.stringify(mark));
  await engine.check(repo, 'structure', FULL, ctx);
  await assert.rejects(engine.check(repo, 'full', FULL, ctx), damaged);
  await assert.rejects(engine.restore(repo, id, out, { workDir: target }, ctx), damaged);
  await assert.rejects(async () => {
    for await (const _ of engine.contents(repo, id, ctx));
  }, damaged);
  assert.ok(name && tree);
});

test('a file without its end mark is no snapshot, and is cleared: at once for this capture, after an hour for others', async () => {
  const ctx = await testContext();
  const { repo, id, site, name, request } = await stored(ctx);
  await rm(join(site, `${id}.json`));
  await writeFile(join(site, '20200101T000000Z-old.tar.zst'), 'half');
  await utimes(join(site, '20200101T000000Z-old.tar.zst'), 1e9, 1e9);
  await writeFile(join(site, '20300101T000000Z-live.tar.zst.partial'), 'being written');
  await rename(join(site, name), join(site, `${name}.partial`));
  assert.deepEqual(await engine.list(repo, 'site-1', ctx), []);
  await engine.backup(repo, request, ctx);
  assert.deepEqual((await readdir(site)).sort(), [`${id}.json`, name, '20300101T000000Z-live.tar.zst.partial'].sort());
});

test('an unreadable end mark is damage, not absence; a foreign id reaches no path', async () => {
  const ctx = await testContext();
  const { repo, id, site, target } = await stored(ctx);
  for (const bad of ['../../etc/passwd', '..', '/etc/passwd', ''])
    await assert.rejects(engine.restore(repo, bad, target, { workDir: target }, ctx), (e) =>
      isFailure(e, 'SnapshotMissing'),
    );
  await engine.forget(repo, ['../site-1', '..', ''], ctx);
  assert.equal((await engine.list(repo, 'site-1', ctx)).length, 1);
  await truncate(join(site, `${id}.json`), 40);
  await assert.rejects(engine.list(repo, 'site-1', ctx), damaged);
});

test('without the key, or with another one, the backup is made and not read', async () => {
  const ctx = await testContext();
  const recipients = [await identityToRecipient(await generateX25519Identity())];
  const { repo, id, target, dir } = await stored(ctx, { recipients });
  const { workDir } = { workDir: target };
  await assert.rejects(engine.restore(repo, id, target, { workDir }, ctx), (e) => isFailure(e, 'KeyMissing'));
  const file = join(dir, 'other.key');
  await writeFile(file, await generateX25519Identity(), { mode: 0o600 });
  const other = { ...repo, identity: { file } };
  await assert.rejects(engine.restore(other, id, target, { workDir }, ctx), (e) => isFailure(e, 'KeyMissing'));
  await engine.check(repo, 'full', FULL, ctx);
  const request = await requestOf([target]);
  await assert.rejects(engine.backup({ ...repo, recipients: ['age1nonsense'] }, request, ctx), (e) =>
    isFailure(e, 'InvalidConfig'),
  );
});

test('gzip where zstd is not installed', async () => {
  const ctx = await testContext();
  const bin = await temp('bin');
  for (const dir of ['/bin', '/usr/bin'])
    for (const each of await readdir(dir))
      if (!each.includes('zstd')) await symlink(join(dir, each), join(bin, each)).catch(() => {});
  const { PATH } = process.env;
  process.env.PATH = bin;
  try {
    const { repo, id, name, target, tree } = await stored(ctx);
    assert.match(name, /\.tar\.gz$/);
    assert.deepEqual(Object.keys(await engine.preflight(repo, ctx)), ['tar']);
    await engine.restore(repo, id, target, { workDir: target }, ctx);
    assert.deepEqual(await readFile(join(target + tree, 'one')), await readFile(join(tree, 'one')));
  } finally {
    process.env.PATH = PATH;
  }
});

test('a file that changes while tar reads it is reported, and no silent success', async () => {
  const ctx = await testContext();
  const dir = await temp('archive');
  const repo = RepositorySpec.parse({ name: 'vault', engine: 'archive', location: join(dir, 'repo') });
  await engine.init(repo, ctx);
  const tree = join(dir, 'srv');
  await mkdir(tree);
  const file = join(tree, 'log');
  await writeFile(file, randomBytes(64 << 20));
  const request = await requestOf([tree]);
  let size = 64 << 20;
  await engine.backup(repo, request, {
    ...ctx,
    beat: () => {
      execFileSync('truncate', ['-s', String(++size), file]);
    },
  });
  assert.match(ctx.notes.join('\n'), /changed while they were stored/);
});

test('a file system that counts no blocks does not turn data into zeros', async (t) => {
  const path = '/sys/devices/system/cpu/online';
  const { blocks, size } = await stat(path);
  if (blocks !== 0 || size === 0) return t.skip(`${path} has blocks here`);
  const ctx = await testContext();
  const dir = await temp('archive');
  const repo = RepositorySpec.parse({ name: 'vault', engine: 'archive', location: join(dir, 'repo') });
  await engine.init(repo, ctx);
  const { snapshot } = await engine.backup(repo, await requestOf([path]), ctx);
  const target = join(dir, 'out');
  await mkdir(target);
  await engine.restore(repo, snapshot.id, target, { workDir: dir }, ctx);
  const text = await readFile(path, 'utf8');
  assert.equal((await readFile(target + path, 'utf8')).slice(0, text.length), text);
});
