import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { resticEngine } from '../../../activities/engines/restic.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { requestOf, temp } from '../../conformance/engine-fixture.js';
import { CHEAP_PASSWORD, layCheapRepository } from '../../support/cheap-restic.js';
import { testContext } from '../../support/context.js';
import { NO_FOREIGN_PIDS } from '../../support/pid-namespace.js';
import { eventually } from '../../support/toy.js';

const PART = { n: 1, of: 1 };

async function repository(): Promise<{ dir: string; repo: RepositorySpec; env: NodeJS.ProcessEnv }> {
  const dir = await temp('restic');
  const file = join(dir, 'password');
  await writeFile(file, CHEAP_PASSWORD, { mode: 0o600 });
  const repo = RepositorySpec.parse({ name: 'nas', engine: 'restic', location: join(dir, 'repo'), password: { file } });
  const env = { ...process.env, RESTIC_REPOSITORY: repo.location, RESTIC_PASSWORD: CHEAP_PASSWORD };
  await layCheapRepository(repo.location);
  return { dir, repo, env };
}

/** A backup by hand that is still running, with its lock in the repository. */
async function running(dir: string, env: NodeJS.ProcessEnv, wrap: string[] = []): Promise<ChildProcess> {
  const source = join(dir, 'source');
  await mkdir(source, { recursive: true });
  for (let i = 0; i < 4; i++) await writeFile(join(source, `f${i}`), randomBytes(8 << 20));
  const [program = '', ...args] = [...wrap, 'restic', 'backup', '--limit-upload', '200', source];
  const child = spawn(program, args, { env, stdio: 'ignore' });
  const locks = () => execFileSync('sh', ['-c', 'ls "$RESTIC_REPOSITORY/locks"'], { env, encoding: 'utf8' });
  // Until it has its own name it is none.
  await eventually('it has locked', 60_000, () => /^[0-9a-f]{64}$/m.test(locks()));
  return child;
}

async function dead(child: ChildProcess): Promise<void> {
  const gone = new Promise((done) => child.once('exit', done));
  child.kill('SIGKILL');
  await gone;
}

suite('restic repositories', { skip: findProgram('restic') ? false : 'restic is not installed' }, () => {
  test('wrong, empty and absent passwords, a closed port', async () => {
    const { dir, repo } = await repository();
    const ctx = await testContext();
    const opens = (more: Partial<RepositorySpec>) => resticEngine.open({ ...repo, ...more }, ctx);
    const wrong = join(dir, 'wrong');
    await writeFile(wrong, 'another one', { mode: 0o600 });
    await assert.rejects(opens({ password: { file: wrong } }), (e) => isFailure(e, 'RepositoryPassword'));
    await assert.rejects(resticEngine.init({ ...repo, password: { file: wrong } }, ctx), (e) =>
      isFailure(e, 'RepositoryPassword'),
    );
    const { password: _, ...without } = repo;
    await assert.rejects(resticEngine.open(without, ctx), (e) => isFailure(e, 'InvalidConfig'));
    await assert.rejects(opens({ location: 'rest:http://127.0.0.1:1/' }), (e) => isFailure(e, 'RepositoryUnreachable'));
    await assert.rejects(resticEngine.init({ ...repo, location: 'rest:http://127.0.0.1:1/' }, ctx), (e) =>
      isFailure(e, 'RepositoryUnreachable'),
    );
  });

  test('a second backup reads no data again, whatever paths it has besides', async () => {
    const { dir, repo } = await repository();
    const ctx = await testContext();
    const tree = join(dir, 'tree');
    const staging = join(dir, 'staging');
    await mkdir(tree);
    await mkdir(staging);
    await writeFile(join(tree, 'file'), randomBytes(3_000_000));
    const first = await resticEngine.backup(repo, await requestOf([staging, tree]), ctx);
    assert.ok(first.addedBytes > 3_000_000);
    await writeFile(join(staging, 'new'), 'new');
    await writeFile(join(dir, 'another'), 'another');
    const second = await resticEngine.backup(repo, await requestOf([staging, tree, join(dir, 'another')]), ctx);
    assert.ok(second.addedBytes < 100_000, `${second.addedBytes} added`);
    assert.match(await ctx.logText(), new RegExp(`--parent ${first.snapshot.id}`));
  });

  test('a live lock waits; the same lock of a dead process is removed, once and with a note', {
    skip: NO_FOREIGN_PIDS,
  }, async () => {
    const { dir, repo, env } = await repository();
    const ctx = await testContext();
    const child = await running(dir, env);
    await assert.rejects(resticEngine.check(repo, 'structure', PART, ctx), (error) => {
      assert.ok(isFailure(error, 'RepositoryLocked'));
      assert.match(error.message, new RegExp(`process ${child.pid} on `));
      return true;
    });
    await dead(child);
    await resticEngine.check(repo, 'structure', PART, ctx);
    assert.equal(ctx.notes.filter((note) => /lock/.test(note)).length, 1);
  });

  test('data that is gone from the repository is damage, not a tool that failed', async () => {
    const { dir, repo } = await repository();
    const ctx = await testContext();
    const tree = join(dir, 'tree');
    await mkdir(tree);
    for (let i = 0; i < 60; i++) await writeFile(join(tree, `file with a long name ${i}`), randomBytes(20_000));
    const { snapshot } = await resticEngine.backup(repo, await requestOf([tree]), ctx);
    const packs = execFileSync('find', [join(dir, 'repo/data'), '-type', 'f', '-size', '+500k'], { encoding: 'utf8' });
    for (const pack of packs.trim().split('\n')) await rm(pack);
    const target = join(dir, 'target');
    await mkdir(target);
    await assert.rejects(resticEngine.restore(repo, snapshot.id, target, { workDir: dir }, ctx), (error) =>
      isFailure(error, 'RepositoryDamaged'),
    );
  });

  test("another host's lock is left alone though its process is not here", async (t) => {
    if (process.getuid?.() !== 0) return t.skip('another host name takes root');
    const { dir, repo, env } = await repository();
    const ctx = await testContext();
    const child = await running(dir, env, ['unshare', '--uts', 'sh', '-c', 'hostname elsewhere && exec "$@"', 'sh']);
    await dead(child);
    await assert.rejects(resticEngine.check(repo, 'structure', PART, ctx), (error) => {
      assert.ok(isFailure(error, 'RepositoryLocked'));
      assert.match(error.message, /on elsewhere/);
      return true;
    });
  });
});
