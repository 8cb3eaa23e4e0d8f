import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstat, mkdir, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import type { Context } from '../../../activities/contracts.js';
import { rcloneEngine } from '../../../activities/engines/rclone.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { isFailure } from '../../../src/core/failures.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { requestOf, temp } from '../../conformance/engine-fixture.js';
import { engineSuite } from '../../conformance/engine-suite.js';
import { testContext } from '../../support/context.js';

async function flip(repo: RepositorySpec): Promise<void> {
  const find = [`${repo.location}/content`, '-type', 'f', '-size', '+0', '-print', '-quit'];
  const file = execFileSync('find', find, { encoding: 'utf8' }).trim();
  const handle = await open(file, 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

engineSuite('rclone', {
  engine: rcloneEngine,
  repository: async (location) => RepositorySpec.parse({ name: 'bucket', engine: 'rclone', location }),
  flip,
  secrets: async () => [],
  skip: findProgram('rclone') ? false : 'rclone is not installed',
});

suite('rclone among others', { skip: findProgram('rclone') ? false : 'rclone is not installed' }, () => {
  /** A context that does something else before rclone is called with these arguments, once. */
  const interrupted = (
    ctx: Context,
    when: (args: readonly string[]) => boolean,
    other: () => Promise<void>,
  ): Context => {
    let done = false;
    return {
      ...ctx,
      run: async (program, args, options) => {
        if (!done && program === 'rclone' && when(args)) {
          done = true;
          await other();
        }
        return ctx.run(program, args, options);
      },
    };
  };
  const made = async () => {
    const [ctx, dir] = [await testContext(), await temp('rclone')];
    const repo = RepositorySpec.parse({ name: 'bucket', engine: 'rclone', location: join(dir, 'repo') });
    await rcloneEngine.init(repo, ctx);
    const source = join(dir, 'data');
    await mkdir(source);
    await writeFile(join(source, 'a'), 'the one content');
    const first = await rcloneEngine.backup(repo, await requestOf([source]), ctx);
    return { ctx, repo, source, first: first.snapshot.id };
  };
  const at = (name: string) => (args: readonly string[]) => args[0] === 'lsf' && args.some((arg) => arg.endsWith(name));

  for (const place of ['content', 'pending'])
    test(`what another one stores while a snapshot goes keeps its content (at the look at ${place})`, async () => {
      const { ctx, repo, source, first } = await made();
      let refused = false;
      const store = async () => {
        await rcloneEngine.backup(repo, await requestOf([source], { siteId: 'site-2' }), ctx).catch((error) => {
          if (!isFailure(error, 'RepositoryLocked')) throw error;
          refused = true;
        });
      };
      await rcloneEngine.forget(repo, [first], interrupted(ctx, at(place), store));
      assert.equal((await rcloneEngine.list(repo, 'site-2', ctx)).length, refused ? 0 : 1);
      await rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, ctx);
      if (refused) await store();
      assert.equal((await rcloneEngine.list(repo, 'site-2', ctx)).length, 1, 'after the removal it stores');
      await rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    });

  test('while somebody stores, content stays; the next removal takes it', async () => {
    const { ctx, repo, source, first } = await made();
    const second = join(source, 'b');
    await writeFile(second, 'more');
    const forget = async () => void (await rcloneEngine.forget(repo, [first], ctx));
    const sending = (args: readonly string[]) => args[0] === 'copy' && args.some((arg) => arg.endsWith('/content'));
    await rcloneEngine.backup(repo, await requestOf([second]), interrupted(ctx, sending, forget));
    assert.match(ctx.notes.at(-1) ?? '', /somebody is storing there/);
    await rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, ctx);
    assert.ok((await rcloneEngine.forget(repo, [], ctx)).freedBytes > 0);
  });

  test('a pipe comes back, by hand too', async () => {
    const { ctx, repo, source } = await made();
    const pipe = join(source, 'a pipe');
    execFileSync('mkfifo', ['-m', '640', pipe]);
    const { snapshot } = await rcloneEngine.backup(repo, await requestOf([source]), ctx);
    const [target, hand] = [await temp('restored'), await temp('by-hand')];
    await rcloneEngine.restore(repo, snapshot.id, target, { workDir: await temp('work') }, ctx);
    execFileSync('sh', ['-ec', rcloneEngine.restoreCommands(repo, snapshot).join('\n')], { cwd: hand, stdio: 'pipe' });
    for (const below of [target, join(hand, 'restored')]) {
      const made = await lstat(join(below, pipe));
      assert.ok(made.isFIFO());
      assert.equal(made.mode & 0o777, 0o640);
      assert.equal(await readFile(join(below, source, 'a'), 'utf8'), 'the one content');
    }
  });

  test('a check that could not read all is no good one', async () => {
    const { ctx, repo } = await made();
    const failing: Context = {
      ...ctx,
      run: async (program, args, options) =>
        args[0] === 'hashsum'
          ? { exitCode: 1, stdout: '', stderrTail: 'i/o timeout', tookMs: 1 }
          : ctx.run(program, args, options),
    };
    await assert.rejects(rcloneEngine.check(repo, 'full', { n: 1, of: 1 }, failing), (error) =>
      isFailure(error, 'RepositoryUnreachable'),
    );
  });
});
