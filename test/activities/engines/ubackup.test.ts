import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { lstat, mkdir, open, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import type { BackupRequest } from '../../../activities/contracts.js';
import { ubackupEngine } from '../../../activities/engines/ubackup.js';
import { markName, marksOf } from '../../../activities/engines/ubackup-mark.js';
import { storeOf } from '../../../activities/engines/ubackup-stores.js';
import { isFailure } from '../../../src/core/failures.js';
import type { DatabaseEntry } from '../../../src/core/manifest.js';
import { type Plan, RepositorySpec } from '../../../src/core/plan.js';
import { requestOf, temp } from '../../conformance/engine-fixture.js';
import { engineSuite } from '../../conformance/engine-suite.js';
import { testContext } from '../../support/context.js';
import { rsaPair } from '../../support/varasto-site.js';

const pair = rsaPair();

async function repository(location: string): Promise<RepositorySpec> {
  const file = `${location}.key`;
  await mkdir(dirname(location), { recursive: true }).catch(() => {});
  if (existsSync(dirname(location))) await writeFile(file, pair.privateKey, { mode: 0o600 });
  const recipients = [pair.publicKey];
  return RepositorySpec.parse({ name: 'bucket', engine: 'ubackup', location, recipients, identity: { file } });
}

/** A capture with one dump: the file of the tree that is an ordinary one. */
async function capture(request: BackupRequest): Promise<BackupRequest> {
  const { manifest } = request;
  const path = await dumpIn(manifest.staging);
  if (path === undefined) return request;
  const { size: bytes } = await stat(path);
  const fingerprint = { tables: {}, schemaSha256: '', userVersion: 0 };
  const file = relative(manifest.staging, path);
  const dump: DatabaseEntry = { name: 'notes', kind: 'http', format: 'text', file, bytes, sha256: '', fingerprint };
  return { ...request, manifest: { ...manifest, databases: [dump] } };
}

async function dumpIn(root: string): Promise<string | undefined> {
  for (const name of ['-dash', 'keep/a', 'file', 'f0']) if (existsSync(join(root, name))) return join(root, name);
  const entries = await readdir(root, { recursive: true }).catch(() => []);
  for (const name of entries) if ((await lstat(join(root, name))).isFile()) return join(root, name);
  return undefined;
}

async function flip({ location }: RepositorySpec): Promise<void> {
  const name = execFileSync('find', [join(location, 'notes'), '-name', '*.gz.aes'], { encoding: 'utf8' }).split(
    '\n',
  )[0];
  const handle = await open(name ?? '', 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

engineSuite('ubackup', {
  engine: ubackupEngine,
  repository,
  capture,
  flip,
  secrets: async (repo) => [(await readFile((repo.identity as { file: string }).file, 'utf8')).split('\n')[3] ?? ''],
});

test('a site with several databases, or with files in place, is told before anything stops', async () => {
  const ctx = await testContext();
  const repo = await repository('/nowhere/bucket');
  const set = { name: 'media', root: '/srv/media', change: 'immutable' };
  const plan = (databases: number, fileSets: object[]) =>
    ({ databases: Array.from({ length: databases }, () => ({})), fileSets }) as unknown as Plan;
  const refused = (words: RegExp) => (error: Error) => isFailure(error, 'InvalidConfig') && words.test(error.message);
  await ubackupEngine.accepts?.(repo, plan(1, [{ ...set, change: 'mutable' }]), ctx);
  await assert.rejects(async () => ubackupEngine.accepts?.(repo, plan(2, []), ctx), refused(/2 databases/));
  await assert.rejects(
    async () => ubackupEngine.accepts?.(repo, plan(1, [set]), ctx),
    refused(/files in place \(media\)/),
  );
});

test('with the public key alone it writes, lists and checks; only its own private key reads, and that is enough', async () => {
  const ctx = await testContext();
  const dir = await temp('ubackup');
  const { identity, ...blind } = await repository(join(dir, 'bucket'));
  await ubackupEngine.init(blind, ctx);
  const tree = join(dir, 'srv');
  await mkdir(tree);
  for (const name of ['file', 'other']) await writeFile(join(tree, name), `${name}\n`);
  const { snapshot } = await ubackupEngine.backup(blind, await capture(await requestOf([tree])), ctx);
  assert.deepEqual(
    (await ubackupEngine.list(blind, 'site-1', ctx)).map(({ id, complete }) => [id, complete]),
    [[snapshot.id, true]],
  );
  await ubackupEngine.check(blind, 'full', { n: 1, of: 1 }, ctx);
  const read = async (repo: RepositorySpec) => {
    const out = await temp('ubackup-out');
    return ubackupEngine.restore(repo, snapshot.id, out, { workDir: out }, ctx);
  };
  const missing = (error: Error) => isFailure(error, 'KeyMissing');
  await assert.rejects(read(blind), missing);
  await writeFile(join(dir, 'wrong'), rsaPair().privateKey);
  await assert.rejects(read({ ...blind, identity: { file: join(dir, 'wrong') } }), missing);
  assert.equal(
    (await read({ ...blind, recipients: [], identity: identity! })).files,
    2,
    'as an empty machine adopts it',
  );
});

test('what another store has been at for hours stays; a mark that goes while marks are read is no damage', async () => {
  const ctx = await testContext();
  const dir = await temp('ubackup');
  const repo = await repository(join(dir, 'bucket'));
  await ubackupEngine.init(repo, ctx);
  const tree = join(dir, 'srv');
  await mkdir(tree);
  for (const name of ['file', 'other']) await writeFile(join(tree, name), `${name}\n`);
  const started = join(repo.location, 'holdfast/site-2', `20261121T030000Z-${randomUUID()}.tar.gz.aes`);
  const dead = join(repo.location, 'holdfast/site-2', `20261120T030000Z-${randomUUID()}.tar.gz.aes`);
  await mkdir(dirname(started), { recursive: true });
  for (const [file, hours] of [
    [started, 12],
    [dead, 30],
  ] as const) {
    await writeFile(file, 'its first object');
    const then = Date.now() / 1000 - hours * 3600;
    await utimes(file, then, then);
  }
  const { snapshot } = await ubackupEngine.backup(repo, await capture(await requestOf([tree])), ctx);
  assert.deepEqual([existsSync(started), existsSync(dead)], [true, false]);

  const store = storeOf(repo);
  let once = true;
  const raced: typeof store = {
    ...store,
    texts: async (prefix, each) => {
      if (once) await store.remove([markName('site-1', snapshot.id)], each);
      once = false;
      return store.texts(prefix, each);
    },
  };
  assert.deepEqual(await marksOf(repo, raced, undefined, ctx), []);
});
