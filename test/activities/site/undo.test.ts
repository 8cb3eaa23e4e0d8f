import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { UndoStep } from '../../../activities/site/api.js';
import { fenceOf, replayUndo } from '../../../activities/site/fence.js';
import { testContext } from '../../support/context.js';

type Rename = Extract<UndoStep, { kind: 'rename' }>;

/** A swap as a restore does it, for several paths: the live one aside, the new one in its place. */
function swap(dir: string, names: string[]): Rename[] {
  return names.flatMap((name) => {
    const [live, aside, fresh] = [`${name}`, `${name}.aside`, `${name}.fresh`].map((n) => join(dir, n)) as [
      string,
      string,
      string,
    ];
    return [
      { kind: 'rename' as const, from: live, to: aside, aside: `${name}.stray` && join(dir, `${name}.stray`) },
      { kind: 'rename' as const, from: fresh, to: live },
    ];
  });
}

const look = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [name, readFileSync(join(dir, name), 'utf8')]),
  );

test('from every cut point of a swap, and of the undo itself, the state from before comes back', async () => {
  const ctx = await testContext();
  const paths = ctx.state.site('cms');
  writeFileSync(paths.epoch, '1\n');
  const fence = fenceOf(paths, 1);
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 3 }),
      fc.nat(6),
      fc.nat(6),
      fc.boolean(),
      async (n, done, undone, started) => {
        const dir = mkdtempSync(join(ctx.state.work, 'swap-'));
        const names = ['db', 'media', 'conf'].slice(0, n);
        for (const name of names) {
          writeFileSync(join(dir, name), `old ${name}`);
          writeFileSync(join(dir, `${name}.fresh`), `new ${name}`);
        }
        const before = look(dir);
        const steps = swap(dir, names);
        for (const { from, to } of steps.slice(0, done)) renameSync(from, to);
        // Killed half-way, an application may have made itself an empty state where the old one was.
        const half = steps[done - 1];
        const empty = started && half?.aside && !existsSync(half.from) ? half : undefined;
        if (empty) writeFileSync(empty.from, 'made by the application');
        await replayUndo(fence, steps.slice(Math.max(0, steps.length - undone)), ctx); // an undo that was killed
        await replayUndo(fence, steps, ctx);
        await replayUndo(fence, steps, ctx);
        const { [`${empty?.aside?.slice(dir.length + 1)}`]: stray, ...after } = look(dir);
        assert.deepEqual(after, before);
        assert.equal(stray, empty && 'made by the application');
      },
    ),
    { numRuns: 25 },
  );
});

test('a taken name for what stands in the way does not keep the application down; a superseded recoverer moves nothing', async () => {
  const ctx = await testContext();
  const paths = ctx.state.site('cms');
  writeFileSync(paths.epoch, '2\n');
  const dir = mkdtempSync(join(ctx.state.work, 'taken-'));
  const [from, to, aside] = [join(dir, 'live'), join(dir, 'put-aside'), join(dir, 'stray')];
  for (const path of [from, to, aside, `${aside}.1`]) mkdirSync(path);
  writeFileSync(join(aside, 'file'), '');
  const undo: UndoStep[] = [{ kind: 'rename', from, to, aside }];
  await assert.rejects(replayUndo(fenceOf(paths, 1), undo, ctx), /SectionRevoked|had been ended/);
  assert.ok(existsSync(to));
  await replayUndo(fenceOf(paths, 2), undo, ctx);
  assert.deepEqual(readdirSync(dir).sort(), ['live', 'stray', 'stray.1', 'stray.2']);
});

test('what a restored database left beside itself never lies beside the one from before, whichever replay was killed', async () => {
  const ctx = await testContext();
  const paths = ctx.state.site('cms');
  writeFileSync(paths.epoch, '1\n');
  const fence = fenceOf(paths, 1);
  for (let killedAfter = 0; killedAfter <= 4; killedAfter++) {
    const dir = mkdtempSync(join(ctx.state.work, 'sidecar-'));
    const [db, wal, aside, walAside, fresh] = ['db', 'db-wal', 'db.aside', 'wal.aside', 'db.fresh'].map((n) =>
      join(dir, n),
    ) as [string, string, string, string, string];
    // The swap was whole, and the restored application has run and written a log of its own.
    writeFileSync(aside, 'old db');
    writeFileSync(walAside, 'old log');
    writeFileSync(db, 'new db');
    writeFileSync(wal, 'new log');
    const undo: UndoStep[] = [
      { kind: 'rename', from: wal, to: walAside, aside: `${walAside}.rejected` },
      { kind: 'rename', from: db, to: aside, aside: `${aside}.rejected` },
      { kind: 'rename', from: fresh, to: db },
      { kind: 'clear', path: wal, to: join(dir, 'rejected-wal'), unless: fresh },
    ];
    await replayUndo(fence, undo.slice(undo.length - killedAfter), ctx);
    await replayUndo(fence, undo, ctx);
    await replayUndo(fence, undo, ctx);
    assert.deepEqual(look(dir), { db: 'old db', 'db-wal': 'old log', 'db.fresh': 'new db', 'rejected-wal': 'new log' });
  }
});

test('a fetched tree that somebody has removed does not keep the application down', async () => {
  const ctx = await testContext();
  const paths = ctx.state.site('cms');
  writeFileSync(paths.epoch, '1\n');
  const dir = mkdtempSync(join(ctx.state.work, 'swap-'));
  const [live, aside, fresh] = [join(dir, 'db'), join(dir, 'db.aside'), join(dir, 'tree/site/db')];
  writeFileSync(aside, 'old');
  writeFileSync(live, 'new');
  const undo: UndoStep[] = [
    { kind: 'rename', from: live, to: aside, aside: `${aside}.rejected` },
    { kind: 'rename', from: fresh, to: live },
  ];
  await replayUndo(fenceOf(paths, 1), undo, ctx);
  assert.equal(readFileSync(live, 'utf8'), 'old');
  assert.equal(readFileSync(fresh, 'utf8'), 'new');
});
