import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { rsyncEngine } from '../../../activities/engines/rsync.js';
import { classifyRsync, rshOf } from '../../../activities/tools/rsync.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { oddTree, portrait, requestOf, temp } from '../../conformance/engine-fixture.js';
import { engineSuite } from '../../conformance/engine-suite.js';
import { testContext } from '../../support/context.js';
import { createSshd } from '../../support/sshd.js';

const DAY_MS = 86_400_000;

async function flip(repo: RepositorySpec): Promise<void> {
  const find = ['-type', 'f', '-path', '*/site-1/*-*/*', '-size', '+0', '-print', '-quit'];
  const file = execFileSync('find', [repo.location, ...find], { encoding: 'utf8' }).trim();
  const handle = await open(file, 'r+');
  const { mtime, atime, size } = await handle.stat();
  const at = Math.floor(size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  // As a disk does it: nothing but the content tells.
  await handle.utimes(atime, mtime);
  await handle.close();
}

engineSuite('rsync', {
  engine: rsyncEngine,
  repository: async (location) =>
    RepositorySpec.parse({ name: 'dated', engine: 'rsync', location, keep: { daily: 7 } }),
  flip,
  secrets: async () => [],
  expired: () => ({ capturedAt: new Date(Date.now() - 8 * DAY_MS).toISOString() }),
});

/** A repository and a source of two files. */
async function opened(keep?: object) {
  const ctx = await testContext();
  const dir = await temp('rsync');
  const tree = join(dir, 'srv');
  await mkdir(tree);
  for (const name of ['same', 'other']) await writeFile(join(tree, name), name.repeat(1000));
  const location = join(dir, 'repo');
  const repo = RepositorySpec.parse({ name: 'dated', engine: 'rsync', location, ...(keep ? { keep } : {}) });
  await rsyncEngine.init(repo, ctx);
  const store = async (capturedAt = new Date().toISOString()) =>
    (await rsyncEngine.backup(repo, await requestOf([tree], { capturedAt }), ctx)).snapshot.id;
  const file = (id: string, name: string) => join(location, 'site-1', id, tree, name);
  return { ctx, tree, repo, store, file, site: join(location, 'site-1') };
}

test('an unchanged file is one with that of the tree before; a change, also of its mode alone, leaves the older tree as it was', async () => {
  const { tree, store, file } = await opened();
  await chmod(join(tree, 'other'), 0o600);
  const first = await store('2026-11-20T03:00:00.000Z');
  await chmod(join(tree, 'other'), 0o640);
  const second = await store('2026-11-21T03:00:00.000Z');
  assert.match(first, /^20261120T030000Z-[0-9a-f]{8}$/);
  const [a, b] = [await stat(file(first, 'same')), await stat(file(second, 'same'))];
  assert.equal(a.ino, b.ino);
  assert.equal((await stat(file(first, 'other'))).mode & 0o777, 0o600);
  assert.equal((await stat(file(second, 'other'))).mode & 0o777, 0o640);
});

test('an attempt goes on with the tree of the one before, and changes no file that it shares with an older tree', async () => {
  const { ctx, tree, repo, store, file, site } = await opened();
  const first = await store('2026-11-20T03:00:00.000Z');
  const request = await requestOf([tree]);
  const doomed = await testContext();
  const files = Array.from({ length: 24 }, (_, i) => join(tree, `big${i}`));
  for (const path of files) await writeFile(path, Buffer.alloc(1 << 20, path));
  const cut = rsyncEngine.backup({ ...repo, uploadLimit: 1_000_000 }, request, {
    ...doomed,
    beat: (progress) => {
      if ((progress?.bytes ?? 0) > 1.5 * (1 << 20)) doomed.cancel(new Error('cancelled'));
    },
  });
  await assert.rejects(cut, /cancelled/);
  const [partial = ''] = (await readdir(site)).filter((name) => name.endsWith('.partial'));
  const copied = await stat(join(site, partial, tree, 'big0'));
  // The source changes between the attempts: what the partial tree shares with the first one must not follow it.
  await chmod(join(tree, 'same'), 0o600);
  const { snapshot } = await rsyncEngine.backup(repo, request, ctx);
  assert.equal((await stat(file(snapshot.id, 'big0'))).ino, copied.ino, 'not copied again');
  assert.equal((await stat(file(first, 'same'))).mode & 0o777, 0o644);
  assert.equal((await stat(file(snapshot.id, 'same'))).mode & 0o777, 0o600);
  assert.deepEqual(
    await rsyncEngine.check(repo, 'full', { n: 1, of: 1 }, ctx).then(({ said }) => said.slice(0, 17)),
    '2 trees are whole',
  );
  assert.deepEqual(
    (await readdir(site)).filter((name) => /partial|tmp|gone/.test(name)),
    [],
  );
});

test('what a check found damaged is not linked to again: the next tree has it whole', async () => {
  const { ctx, repo, store, file, tree } = await opened();
  const first = await store('2026-11-20T03:00:00.000Z');
  await flip(repo);
  await assert.rejects(rsyncEngine.check(repo, 'full', { n: 1, of: 1 }, ctx), (error) =>
    isFailure(error, 'RepositoryDamaged'),
  );
  const second = await store('2026-11-21T03:00:00.000Z');
  for (const name of ['same', 'other'])
    assert.equal(await readFile(file(second, name), 'utf8'), await readFile(join(tree, name), 'utf8'));
  const third = await store('2026-11-21T04:00:00.000Z');
  assert.equal((await stat(file(third, 'same'))).ino, (await stat(file(second, 'same'))).ino);
  assert.notEqual(first, second);
});

test('a file that went from a tree is missed, in the listing too; a damaged one is not restored as if it were good', async () => {
  const { ctx, repo, store, file, tree } = await opened();
  const [first, second] = [await store('2026-11-20T03:00:00.000Z'), await store('2026-11-21T03:00:00.000Z')];
  await rm(file(first, 'same'));
  await assert.rejects(rsyncEngine.check(repo, 'full', { n: 1, of: 1 }, ctx), (error) =>
    isFailure(error, 'RepositoryDamaged'),
  );
  const listed: string[] = [];
  for await (const { path } of rsyncEngine.contents(repo, first, ctx)) listed.push(path.slice(tree.length));
  assert.deepEqual(listed.sort(), ['', '/other']);
  await flip(repo);
  const target = await temp('rsync-out');
  const damaged = file(second, 'other');
  const restoring = rsyncEngine.restore(repo, second, target, { workDir: target }, ctx);
  await assert.rejects(restoring, (error) => isFailure(error, 'RepositoryDamaged'), damaged);
});

test('a whole tree goes only where an expiry is set, and not before it is 7 days old', async () => {
  const old = new Date(Date.now() - 8 * DAY_MS).toISOString();
  for (const [keep, capturedAt, left] of [
    [undefined, old, 1],
    [{ daily: 1 }, new Date().toISOString(), 1],
    [{ daily: 1 }, old, 0],
  ] as const) {
    const { ctx, repo, store } = await opened(keep);
    await rsyncEngine.forget(repo, [await store(capturedAt)], ctx);
    assert.equal((await rsyncEngine.list(repo, 'site-1', ctx)).length, left);
  }
});

test('the end of rsync is called by its name; nothing of a person’s own SSH configuration counts', () => {
  assert.equal(classifyRsync(255, 'ssh: connect to host b port 22: Connection refused', true), 'RepositoryUnreachable');
  assert.equal(classifyRsync(12, 'rsync: connection unexpectedly closed', true), 'RepositoryUnreachable');
  assert.equal(classifyRsync(255, 'Host key verification failed.', true), 'RepositoryDenied');
  assert.equal(classifyRsync(255, 'root@b: Permission denied (publickey).', true), 'RepositoryDenied');
  assert.equal(classifyRsync(127, 'bash: line 1: rsync: command not found', true), 'ToolMissing');
  assert.equal(classifyRsync(23, 'rsync: read errors mapping "/x": Input/output error', false), 'SnapshotIncomplete');
  assert.equal(classifyRsync(11, 'write failed on "/x": No space left on device (28)', false), 'DiskFull');
  const rsh = rshOf({ address: 'b', user: 'root', port: 2222, key: '/etc/a key', knownHosts: '/etc/known' });
  assert.match(
    rsh,
    /^ssh -F none -p 2222 -i '\/etc\/a key' .*StrictHostKeyChecking=yes.*UserKnownHostsFile=\/etc\/known$/,
  );
});

test('a pull over SSH brings all of a staging directory, and of a file set what its list names', async (t) => {
  const dir = await temp('rsync-pull');
  const sshd = await createSshd(join(dir, 'ssh'));
  if (typeof sshd === 'string') return t.skip(sshd);
  const ctx = await testContext();
  const [staging, media] = [join(dir, 'staging/current'), join(dir, 'srv/media')];
  await mkdir(join(staging, 'odd'), { recursive: true });
  await oddTree(join(staging, 'odd'));
  await mkdir(join(staging, 'lists'));
  await mkdir(join(media, 'deep'), { recursive: true });
  const line = async (p: string, type: string) => {
    const { size, mtimeMs, mode, uid, gid } = await stat(join(media, p));
    return JSON.stringify({ p, t: type, s: size, m: Math.trunc(mtimeMs), o: mode & 0o7777, u: uid, g: gid });
  };
  for (const name of ['deep/listed', 'later']) await writeFile(join(media, name), name);
  const lines = [
    await line('deep', 'd'),
    await line('deep/listed', 'f'),
    '{"p":"gone","t":"f","s":1,"m":1,"o":1,"u":0,"g":0}',
  ];
  await writeFile(join(staging, 'lists/media.jsonl'), lines.map((each) => `${each}\n`).join(''));
  const set = {
    name: 'media',
    root: media,
    where: 'inPlace',
    files: 2,
    bytes: 1,
    list: 'lists/media.jsonl',
    listSha256: '0',
  } as const;
  const request = {
    ...(await requestOf([staging], { fileSets: [set] })),
    from: { address: '127.0.0.1', user: 'root', port: sshd.port, key: sshd.key, knownHosts: sshd.knownHosts },
  };
  const repo = RepositorySpec.parse({ name: 'dated', engine: 'rsync', location: join(dir, 'repo') });
  await rsyncEngine.init(repo, ctx);
  await assert.rejects(rsyncEngine.backup(repo, request, ctx), (error) => isFailure(error, 'RepositoryUnreachable'));
  await sshd.start();
  try {
    const { snapshot } = await rsyncEngine.backup(repo, request, ctx);
    const tree = join(repo.location, 'site-1', snapshot.id);
    assert.deepEqual(await portrait(join(tree, staging)), await portrait(staging));
    assert.deepEqual(await readdir(join(tree, media)), ['deep']);
    assert.equal(await readFile(join(tree, media, 'deep/listed'), 'utf8'), 'deep/listed');
    await rsyncEngine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    const stranger = { ...request, from: { ...request.from, knownHosts: '/dev/null' } };
    await assert.rejects(rsyncEngine.backup(repo, stranger, ctx), (error) => isFailure(error, 'RepositoryDenied'));
    assert.equal((await rsyncEngine.list(repo, 'site-1', ctx)).length, 1);
  } finally {
    await sshd.cut();
  }
});
