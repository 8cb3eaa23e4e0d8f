import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { services } from '../../../activities/services/index.js';
import { bootClock } from '../../../activities/site/marks.js';
import { updateRecord } from '../../../activities/site/record.js';
import { recoverAll } from '../../../activities/site/recover.js';
import { openSite } from '../../../activities/site/site.js';
import { isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';
import { holderOf } from '../../support/holder.js';
import { createToy, eventually, lives } from '../../support/toy.js';

const A = holderOf('backup-a');
const B = holderOf('backup-b');

/** A site with a running toy, and somebody who acknowledges as a watchdog does but never acts. */
async function scene(t: TestContext, ackMs = 60_000) {
  const ctx = await testContext({ step: 'test' });
  const toy = await createToy();
  const paths = ctx.state.site('cms');
  const guard = openSite(ctx.state, 'cms', { ackMs });
  const acks = setInterval(() => {
    if (!existsSync(paths.record)) return;
    writeFileSync(paths.ack, String(JSON.parse(readFileSync(paths.record, 'utf8')).epoch));
  }, 20);
  t.after(() => {
    clearInterval(acks);
    toy.end();
  });
  await services.process.start(toy.spec, ['toy'], ctx);
  await eventually('the toy answers', 60_000, toy.answers);
  const arm = () => guard.arm(A, { services: [toy.spec], capMs: 60_000 }, ctx);
  const stop = () => services.process.stop(toy.spec, ['toy'], ctx);
  return { ctx, toy, paths, guard, arm, stop, acks };
}

const revoked = (error: unknown): boolean => isFailure(error, 'SectionRevoked');

test('one run holds the site; the same one re-enters, another is told who has it', async (t) => {
  const { guard, ctx } = await scene(t);
  assert.deepEqual(await guard.hold(A), { held: true });
  assert.deepEqual(await guard.hold(A), { held: true });
  assert.deepEqual(await guard.hold(B), { held: false, by: A, phase: 'held', expired: false, locked: false });
  await guard.release(B, ctx);
  assert.equal((await guard.read()).phase, 'held', 'only its holder releases');
  await assert.rejects(guard.takeOver(B, ctx, holderOf('somebody else')), (error) => isFailure(error, 'SiteBusy'));
  await guard.takeOver(B, ctx, A);
  assert.deepEqual((await guard.read()).holder, B);
  await assert.rejects(guard.arm(A, { services: [], capMs: 1 }, ctx), (error) => isFailure(error, 'SiteBusy'));
  await guard.release(B, ctx);
  assert.equal((await guard.read()).phase, 'idle');
});

test('a section from hold to release: armed before the stop, up before the end', async (t) => {
  const { guard, arm, stop, ctx, toy } = await scene(t);
  await guard.hold(A);
  const section = await arm();
  assert.deepEqual(section.prior, { toy: ['toy'] });
  assert.equal((await arm()).epoch, section.epoch, 'its own live section again');
  await stop();
  await guard.renew(section.epoch, ctx);
  const [from, to] = [join(toy.dir, 'x.partial'), join(toy.dir, 'x')];
  writeFileSync(from, '');
  await guard.commit(section.epoch, from, to, ctx);
  await guard.commit(section.epoch, from, to, ctx);
  assert.ok(existsSync(to));
  const up = await guard.ensureUp('finish', { epoch: section.epoch, withinMs: 60_000 }, ctx);
  assert.ok(up.started && up.downAt && Date.parse(up.upAt) >= Date.parse(up.downAt));
  assert.ok(await toy.answers());
  const again = await guard.ensureUp('finish', { epoch: section.epoch, withinMs: 60_000 }, ctx);
  assert.deepEqual([again.started, again.upAt], [false, up.upAt]);
  const record = await guard.read();
  assert.deepEqual([record.phase, record.prior, record.deadline], ['held', undefined, undefined]);
  await assert.rejects(guard.section(section.epoch, ctx), revoked);
  await assert.rejects(guard.commit(section.epoch, from, join(toy.dir, 'late'), ctx), revoked);
  await guard.release(A, ctx);
});

test('without a watchdog nothing is stopped, and the site is held as before', async (t) => {
  const { arm, guard, acks, toy, ctx } = await scene(t, 300);
  clearInterval(acks);
  await guard.hold(A);
  await assert.rejects(arm(), (error) => isFailure(error, 'WatchdogMissing'));
  const record = await guard.read();
  assert.deepEqual([record.phase, record.prior, record.epoch], ['held', undefined, 1]);
  assert.ok(await toy.answers());
  await assert.rejects(guard.section(1, ctx), revoked);
});

test('what was stopped before we came stays stopped; what ran is inherited by a repeated section', async (t) => {
  const { arm, guard, stop, toy, ctx } = await scene(t);
  await stop();
  await guard.hold(A);
  const { epoch, prior } = await arm();
  assert.deepEqual(prior, { toy: [] });
  await guard.ensureUp('finish', { epoch, withinMs: 60_000 }, ctx);
  assert.equal(toy.pid(), undefined);
  await services.process.start(toy.spec, ['toy'], ctx);
  await arm();
  await stop();
  await guard.ensureUp('recover', { withinMs: 60_000, why: 'test' }, ctx);
  await stop(); // a stop that was on its way
  assert.deepEqual((await arm()).prior, { toy: ['toy'] }, 'it is down by that stop, not by its owner');
});

test('two recoverers at once: one starts, the other waits until it is up', async (t) => {
  const { arm, guard, stop, ctx, toy } = await scene(t);
  await guard.hold(A);
  const { epoch } = await arm();
  await stop();
  const other = await testContext({ dir: ctx.state.root });
  const results = await Promise.all([
    guard.ensureUp('recover', { epoch, withinMs: 60_000, why: 'one' }, ctx),
    openSite(other.state, 'cms').ensureUp('recover', { epoch, withinMs: 60_000, why: 'two' }, other),
    guard.ensureUp('finish', { epoch, withinMs: 60_000 }, ctx),
  ]);
  assert.equal(results.filter(({ started }) => started).length, 1);
  assert.ok(await toy.answers());
  assert.equal((await guard.read()).phase, 'held');
});

test('a finish that does not come up keeps the undo list for a slow start, and a recovery replays it', async (t) => {
  const { arm, guard, stop, ctx, toy } = await scene(t);
  await guard.hold(A);
  const broken = join(toy.dir, 'new-state');
  const old = join(toy.dir, 'old-state');
  toy.spec.start = {
    ...toy.spec.start,
    argv: ['sh', '-c', `[ ! -e ${broken} ] && exec "$@"`, 'sh', ...toy.spec.start.argv],
  };
  const { epoch } = await arm();
  await stop();
  await guard.addUndo(epoch, [{ kind: 'rename', from: old, to: broken }], ctx);
  await guard.addUndo(epoch, [{ kind: 'rename', from: old, to: broken }], ctx);
  assert.equal((await guard.read()).undo.length, 1);
  writeFileSync(broken, 'swapped in');
  await assert.rejects(guard.ensureUp('finish', { epoch, withinMs: 800 }, ctx), (error) =>
    isFailure(error, 'StartFailed', 'NotHealthy'),
  );
  const between = await guard.read();
  assert.deepEqual([between.phase, between.undo.length], ['stopped', 1]);
  assert.ok((between.deadline ?? 0) > bootClock(), 'the watchdog leaves it to the next attempt');
  await assert.rejects(guard.section(between.epoch, ctx), revoked);
  const up = await guard.ensureUp('recover', { epoch: between.epoch, withinMs: 60_000, why: 'rolled back' }, ctx);
  assert.deepEqual([up.started, up.revokedFor], [true, 'rolled back']);
  assert.ok(existsSync(old) && !existsSync(broken) && (await toy.answers()));
});

test('a record of another boot is expired, whatever its numbers say', async (t) => {
  const { arm, guard, stop, ctx, toy, paths } = await scene(t);
  await guard.hold(A);
  await arm();
  await stop();
  assert.deepEqual(await recoverAll(ctx.state, ctx), [], 'a live section is left alone');
  await updateRecord(paths, 'cms', (record) => ({ ...record, bootId: 'an earlier boot' }));
  const [recovered] = await recoverAll(ctx.state, ctx);
  assert.match(recovered?.said ?? '', /the machine was started anew/);
  assert.ok(recovered?.up && (await toy.answers()));
});

test('a record that cannot be read is a named failure, never a free site', async (t) => {
  const { guard, paths, ctx, acks } = await scene(t);
  clearInterval(acks);
  for (const text of ['', '{"schema":1', '{"schema":9,"site":"cms","phase":"idle","epoch":1}', '{}']) {
    writeFileSync(paths.record, text);
    for (const call of [guard.read, () => guard.hold(A), () => guard.takeOver(A, ctx)])
      await assert.rejects(
        call(),
        (error) => isFailure(error, 'StateUnusable') && error.message.includes('record.json'),
      );
    assert.equal(readFileSync(paths.record, 'utf8'), text);
  }
  const [told] = await recoverAll(ctx.state, ctx);
  assert.ok(told && !told.up && /record.json/.test(told.said));
});

test('a setsid child of a fenced tool, and a frozen tool that has the lock, are ended before the start', async (t) => {
  const { arm, guard, stop, ctx, toy } = await scene(t);
  await guard.hold(A);
  const { epoch, fence } = await arm();
  await stop();
  const [stray, frozen] = [join(toy.dir, 'stray'), join(toy.dir, 'frozen')];
  await ctx.run('sh', ['-c', 'setsid sleep 60 >/dev/null 2>&1 & echo $! >"$1"', 'sh', stray], { fence });
  const strayPid = Number(readFileSync(stray, 'utf8'));
  assert.ok(lives(strayPid));
  await guard.ensureUp('recover', { epoch, withinMs: 60_000, why: 'test' }, ctx);
  assert.ok(!lives(strayPid) && (await toy.answers()));

  const second = await arm();
  const tool = ctx.run('sh', ['-c', 'echo $$ >"$1"; kill -STOP $$; sleep 60', 'sh', frozen], { fence: second.fence });
  const ended = assert.rejects(tool, (error) => isFailure(error, 'ToolFailed'));
  await eventually('it is frozen', 60_000, () => existsSync(frozen) && readFileSync(frozen, 'utf8') !== '');
  const began = performance.now();
  await guard.ensureUp('finish', { epoch: second.epoch, withinMs: 60_000 }, ctx);
  await ended;
  assert.ok(performance.now() - began < 30_000 && !lives(Number(readFileSync(frozen, 'utf8'))));
});
