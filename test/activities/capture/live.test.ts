import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { appendFile, lstat, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { seal } from '../../../activities/capture/seal.js';
import { engines } from '../../../activities/engines/index.js';
import { BackupError, wentAway } from '../../../activities/tools/restic.js';
import { judgeLine } from '../../../activities/tools/tar.js';
import { testContext } from '../../support/context.js';
import { createPipeline, type Pipeline, planIn, type RepositoryName } from '../../support/pipeline.js';
import { eventually } from '../../support/toy.js';

/*
 * A file set that lives on while it is stored, through the real steps and both engines. What happens between the list and the copy is
 * done by hand between the seal and the store: the same as a mail server would, and the same each time.
 */

const BOTH: RepositoryName[] = ['nas', 'local'];
const dir = await mkdtemp(join(tmpdir(), 'holdfast-live-'));
const root = join(dir, 'mail');
const plan = await planIn(dir, {
  ...{ app: 'generic', root },
  fileSets: [{ name: 'mail', root, include: ['box*/cur'], exclude: ['box*/cur/skip'], change: 'live' }],
});
let pipe: Pipeline;

before(async () => {
  for (const box of ['box1', 'box2'])
    for (let i = 0; i < 30; i++) {
      await mkdir(join(root, box, 'cur'), { recursive: true });
      await writeFile(join(root, box, 'cur', `m${i}`), `message ${i}`);
    }
  await mkdir(join(root, 'box1/cur/skip'));
  await writeFile(join(root, 'box1/cur/skip/x'), 'left out');
  await mkdir(join(root, 'box1/view'));
  await writeFile(join(root, 'box1/view/m1'), 'another view');
  // No engine stores one, so no list may ask for it.
  await new Promise<void>((done) => createServer().listen(join(root, 'box2/cur/agent.sock'), done).unref());
  pipe = await createPipeline(plan);
  // Beyond what counts as the time of the list.
  await sleep(1100);
});

const sealed = async (): Promise<string> => {
  const captureId = await pipe.capture();
  await seal(pipe.state, plan, await testContext({ dir: pipe.state.root }));
  return captureId;
};
const cur = (name: string) => join(root, 'box1/cur', name);

test('files that change, grow, vanish and appear while they are stored make a complete backup with a counted note', async () => {
  const captureId = await sealed();
  await appendFile(cur('m0'), ' and more');
  await rm(cur('m1'));
  await rename(cur('m2'), cur('m2:S'));
  await writeFile(join(root, 'box2/cur/new'), 'just came');
  const kept = { nas: await pipe.store(captureId, 'nas'), local: await pipe.store(captureId, 'local') };
  for (const repository of BOTH) {
    const stored = kept[repository];
    const notes = await pipe.verify(repository, stored);
    assert.match(notes.join('\n'), /of 62 entries 1 changed and 2 were deleted while they were stored/);
    // A second look, when all of it has long changed: by what the first one found.
    await writeFile(cur('m3'), 'changed after it was stored');
    // restic takes a second for each call, and lists in the same words.
    if (repository === 'nas') continue;
    assert.match((await pipe.verify(repository, stored)).join('\n'), /1 changed and 2 were deleted/);
    const fetched = await pipe.restore(repository, repository);
    assert.match(fetched.notes.join('\n'), /1 changed and 2 were deleted/);
    const restored = join(dir, 'restored', repository);
    assert.equal(readFileSync(join(restored, 'box1/cur/m0'), 'utf8'), 'message 0 and more');
    assert.deepEqual((await readdir(restored)).sort(), ['.holdfast', 'box1', 'box2']);
    assert.equal(existsSync(join(restored, 'box1/cur/m2:S')), true, 'what appeared is there too');
    assert.equal(existsSync(join(restored, 'box1/view')), false);
    assert.equal(existsSync(join(restored, 'box1/cur/skip')), false);
    const list = readFileSync(join(restored, '.holdfast/lists/mail.jsonl'), 'utf8');
    assert.doesNotMatch(list, /"box1\/cur\/m1"/);
    assert.match(list, /"p":"box1\/cur\/m0","t":"f","s":18/);
    const checks = await pipe.prove(repository);
    assert.deepEqual(
      checks.filter(({ ok }) => !ok),
      [],
    );
    const spoilt = await pipe.prove(repository, (tree) => writeFile(join(tree, 'box1/cur/m0'), 'message 0'));
    assert.match(JSON.stringify(spoilt.filter(({ ok }) => !ok)), /box1\/cur\/m0: 9 bytes, not 18/);
  }
});

test('on a host that did not verify the snapshot the differences are said, and are no obstacle', async () => {
  rmSync(join(pipe.state.site(plan.site).dir, 'lived'), { recursive: true });
  const fetched = await pipe.restore('local', 'elsewhere');
  assert.match(fetched.notes.join('\n'), /1 changed and 2 were deleted .*it did not verify this snapshot/);
});

/** An engine that passes over what `without` says, and ends well. */
async function broken(without: (path: string) => boolean, sizes: (path: string, size: number) => number = (_, s) => s) {
  const real = engines.archive.contents;
  engines.archive.contents = async function* (...args) {
    for await (const file of real(...args))
      if (!without(file.path)) yield { ...file, size: sizes(file.path, file.size) };
  };
  return () => {
    engines.archive.contents = real;
  };
}

test('a file that is there as it was listed and is missing or cut in the snapshot fails the backup', async () => {
  const cases: Parameters<typeof broken>[] = [
    [(path) => path.endsWith('cur/m9')],
    [() => false, (path, size) => (path.endsWith('box2/cur/m9') ? size - 1 : size)],
  ];
  for (const [without, sizes] of cases) {
    const captureId = await sealed();
    const stored = await pipe.store(captureId, 'local');
    const heal = await broken(without, sizes);
    await assert.rejects(
      pipe.verify('local', stored),
      /SnapshotDiffers|lacks or has otherwise what did not change.*m9/,
    );
    heal();
    await pipe.verify('local', stored);
    const again = await broken(without, sizes);
    await assert.rejects(pipe.verify('local', stored), /other files than when it was first verified/);
    await assert.rejects(pipe.restore('local', 'never'), /other files than when it was verified/);
    again();
  }
});

test('a directory that a set begins with, gone in mid-run, fails the backup; gone with all that it belongs to it does not', async () => {
  const captureId = await sealed();
  await rename(join(root, 'box2/cur'), join(dir, 'away'));
  const stored = await pipe.store(captureId, 'local');
  await assert.rejects(pipe.verify('local', stored), /what did not change: .*box2\/cur/);
  await rename(join(dir, 'away'), join(root, 'box2/cur'));

  const second = await sealed();
  await rename(join(root, 'box2'), join(dir, 'away'));
  const without = await pipe.store(second, 'local');
  // The last box of two: that is half of the set.
  await assert.rejects(pipe.verify('local', without), /too much is missing .*mail: 3\d of 6\d/);
  await rename(join(dir, 'away'), join(root, 'box2'));
});

test('a disk that goes in mid-run is not taken for deleted files', {
  skip: process.getuid?.() === 0 ? false : 'mounting a small disk needs root',
}, async (t) => {
  const ctx = await testContext();
  const box = join(root, 'box2/cur');
  // What changed just before the list was taken may have changed just after it.
  await eventually('the directory is an old one', 10_000, async () => Date.now() - (await lstat(box)).ctimeMs > 2_000);
  const { exitCode } = await ctx.run('mount', ['-t', 'tmpfs', 'none', box], { ok: [0, 1, 32] });
  if (exitCode !== 0) return t.skip('nothing can be mounted here');
  let captureId: string;
  try {
    await writeFile(join(box, 'on-the-disk'), 'a message');
    captureId = await sealed();
  } finally {
    await ctx.run('umount', [box]);
  }
  const stored = await pipe.store(captureId, 'local');
  await assert.rejects(pipe.verify('local', stored), /what did not change: .*on-the-disk/);
});

test('of what an engine could not read, only what was deleted from a live set is passed over', () => {
  const live = ['/srv/mail'];
  const tar = (line: string) => judgeLine(line, live);
  assert.equal(tar('tar: /srv/mail/a: Cannot stat: No such file or directory'), 'gone');
  assert.equal(tar('tar: /srv/mail/a: Cannot open: Permission denied'), 'others');
  assert.equal(tar('tar: /srv/mail/a: Read error at byte 0, while reading 1 bytes: Input/output error'), 'others');
  assert.equal(tar('tar: /srv/other/a: Cannot stat: No such file or directory'), 'others');
  assert.equal(tar('tar: /srv/mail/a: file changed as we read it'), undefined);
  assert.equal(tar('tar: Exiting with failure status due to previous errors'), undefined);
  const restic = (item: string, error: object) =>
    wentAway(BackupError.parse({ message_type: 'error', error, during: 'archival', item }), live);
  assert.equal(restic('/srv/mail/a', { Op: 'open', Path: '/srv/mail/a', Err: 2 }), true);
  assert.equal(restic('/srv/mail/a', { message: 'lstat /srv/mail/a: no such file or directory' }), true);
  assert.equal(restic('/srv/mail/a', { Op: 'open', Path: '/srv/mail/a', Err: 13 }), false);
  assert.equal(restic('/srv/other/a', { Op: 'open', Path: '/srv/other/a', Err: 2 }), false);
});
