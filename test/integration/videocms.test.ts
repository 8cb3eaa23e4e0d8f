import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { chmod, chown, copyFile, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import { bareRestore, bareSnapshots, leftovers, locks, reports, restic, strays } from '../support/lab-look.js';
import { approve, runPlain, startPlain, untilStep } from '../support/lab-runs.js';
import { fingerprints, rowsOf } from '../support/lab-site.js';
import { eventually } from '../support/toy.js';
import { flip } from '../support/videocms-site.js';

/*
 * The main job on a real server with real tools, as anybody may ask for it: plain `client.workflow.start`, schedules,
 * the command. One site, one worker, one watchdog; the tests build on each other's snapshots.
 */

const opened = await createLab();
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const run = promisify(execFile);
const opts = { skip };

before(async () => {
  if (skip) return;
  await lab.site.start();
  await Promise.all([lab.startWatchdog().then(() => lab.startWorker()), lab.site.healthy()]);
});
after(async () => {
  if (!skip) await lab.end();
});

/** The world is at rest: application up, nothing running, held or half done. */
async function atRest(): Promise<void> {
  assert.equal(await lab.site.up(), true, 'the application is up');
  // A process that was ended goes, and the watchdog gives a lock back, a moment later.
  let passing: string[] = [];
  await eventually('nothing of ours runs', 30_000, async () => {
    passing = [...strays(lab), ...(await locks(lab))];
    return passing.length === 0;
  }).catch(() => assert.deepEqual(passing, []));
  assert.deepEqual(await leftovers(lab), []);
}

const repositoriesOf = (report: Report) => report.repositories.map(({ repository, level }) => [repository, level]);

test('a plain start backs up to both repositories, in a small history, and touches no medium', opts, async () => {
  for (let i = 0; i < 20; i++) await lab.site.write();
  const media = await fingerprints(lab.site.media);
  const handle = await startPlain(lab, 'backup', { site: 'cms' });
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(repositoriesOf(report), [
    ['nas', 'verified'],
    ['local', 'verified'],
  ]);
  assert.deepEqual(report.failures, []);
  assert.ok(report.downtimeMs && report.downtimeMs > 300 && report.downtimeMs < 20_000, `down ${report.downtimeMs} ms`);
  assert.equal(report.sections, 1);
  const { historyLength, historySize } = await handle.describe();
  assert.ok(historyLength <= 60 + 20, `${historyLength} events`);
  assert.ok(historySize && historySize <= 100_000, `${historySize} bytes of history`);
  assert.deepEqual(await fingerprints(lab.site.media), media);
  for (const snapshot of await bareSnapshots(lab)) {
    const restored = await bareRestore(lab, snapshot);
    assert.deepEqual(restored.media, media);
    assert.deepEqual(restored.rows, await lab.site.rows());
  }
  assert.equal(reports(lab).length, 1);
  await atRest();
});

test('a second run stores next to nothing, and a third one beside it ends as skipped', opts, async () => {
  const hold = join(lab.dir, 'hold');
  await writeFile(hold, '');
  const undo = await lab.configure(({ sites }) => {
    sites.cms.hooks = { before: ['/bin/sh', '-c', `while [ -e ${hold} ]; do sleep 0.1; done`] };
  });
  const second = await startPlain(lab, 'backup', { site: 'cms', repositories: ['nas'] });
  assert.ok(await untilStep(lab, second, 'hook'));
  const third = await runPlain(lab, 'backup', { site: 'cms' });
  await rm(hold);
  await undo();
  assert.equal(third.outcome, 'skipped');
  assert.match(third.said, new RegExp(second.workflowId));
  const report = await reportOf(second);
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(repositoriesOf(report), [['nas', 'verified']]);
  const [nas] = report.repositories;
  assert.ok(nas?.bytes && nas.addedBytes !== undefined && nas.addedBytes < nas.bytes / 3, `${nas?.addedBytes} new`);
  const { historyLength } = await second.describe();
  assert.ok(historyLength <= 60, `${historyLength} events`);
  assert.equal((await bareSnapshots(lab)).length, 3);
  await atRest();
});

test('a restore into a new directory is the site as it was', opts, async () => {
  const report = await runPlain(lab, 'restore', { site: 'cms', target: 'copy', repository: 'local' });
  assert.equal(report.outcome, 'completed', report.said);
  const root = join(lab.restored, 'copy');
  assert.deepEqual(await fingerprints(join(root, 'videos/qualitys')), await fingerprints(lab.site.media));
  assert.ok((await rowsOf(join(root, 'database/database.sqlite'))).length >= 20);
  const again = await runPlain(lab, 'restore', { site: 'cms', target: 'copy' }).catch((error: Error) => error);
  assert.match(String((again as Report).said ?? again), /target copy exists already/);
  await rm(root, { recursive: true });
  await atRest();
});

test('a restore in place, once approved, brings back every acknowledged row and every byte', opts, async () => {
  const odd = join(lab.site.media, readdirSync(lab.site.media)[0]!, '4x4.webp');
  await chmod(odd, 0o640);
  await chown(odd, 1234, 1234);
  const backup = await runPlain(lab, 'backup', { site: 'cms' });
  assert.equal(backup.outcome, 'completed', backup.said);
  const captured = [...lab.site.acknowledged.keys()];
  const media = await fingerprints(lab.site.media);
  const later: number[] = [];
  for (let i = 0; i < 5; i++) later.push(await lab.site.write());
  const all = await lab.site.rows();
  const database = await restoreSafetyCopy();
  await rm(lab.site.database);
  const folders = readdirSync(lab.site.media).sort();
  for (const folder of folders.filter((_, n) => n % 2 === 0)) rmSync(join(lab.site.media, folder), { recursive: true });
  assert.equal(await lab.site.up(), false, 'a site without its database is down');

  const handle = await startPlain(lab, 'restore', { site: 'cms' });
  await assert.rejects(handle.executeUpdate('approve', { args: [{ site: 'other', snapshot: backup.captureId }] }));
  assert.match(await approve(handle), /goes ahead/);
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  await lab.site.healthy();
  const rows = new Set(await lab.site.rows());
  assert.deepEqual(
    captured.filter((id) => !rows.has(id)),
    [],
    'rows acknowledged before the capture',
  );
  assert.deepEqual(
    later.filter((id) => rows.has(id)),
    [],
    'rows of after the capture',
  );
  assert.deepEqual(await fingerprints(lab.site.media), media);
  // The database itself was deleted; its log went aside, and on the captured database it is all that came later.
  const { stdout } = await run('find', [lab.dir, '-path', '*.before-*', '-name', 'database.sqlite-wal']);
  const log = stdout.trim().split('\n')[0] ?? '';
  assert.ok(existsSync(log), 'the log was put aside');
  await copyFile(log, `${database}-wal`);
  assert.deepEqual(await rowsOf(database), all);
  await atRest();

  async function restoreSafetyCopy(): Promise<string> {
    const place = join(lab.dir, 'aside.sqlite');
    await copyFile(lab.site.database, place);
    return place;
  }
});

test('a restore test proves a snapshot by the application’s rules and by starting it', opts, async () => {
  const report = await runPlain(lab, 'restoreTest', { site: 'cms', repository: 'nas' });
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(report.proof?.outcome, 'proven');
  const names = report.proof.checks.map(({ name }) => name).join(', ');
  assert.match(names, /boot|start/i, `no check of the boot in: ${names}`);
  assert.ok(existsSync(join(lab.state, 'proofs/cms')) && readdirSync(join(lab.state, 'proofs/cms')).length === 1);
  await atRest();
});

test('RESTORE.md, followed by sh with neither Temporal nor Holdfast, brings the data back', opts, async () => {
  const media = await fingerprints(lab.site.media);
  const rows = (await bareRestore(lab, (await bareSnapshots(lab)).at(-1)!)).rows;
  await lab.site.stop();
  const kept = join(lab.dir, 'kept');
  for (const repository of ['nas', 'local']) {
    await rename(lab.site.root, kept);
    await mkdir(dirname(lab.site.database), { recursive: true });
    const text = readFileSync(join(lab.repositories[repository]!, 'RESTORE-cms.md'), 'utf8');
    const script = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, lines]) => lines).join('\n');
    const cwd = join(lab.dir, `by-hand-${repository}`);
    await mkdir(cwd);
    await run('sh', ['-eu', '-c', script], { cwd, env: { PATH: process.env.PATH, HOME: cwd } });
    assert.deepEqual(await fingerprints(lab.site.media), media, repository);
    assert.deepEqual(await lab.site.rows(), rows, repository);
    await rm(lab.site.root, { recursive: true });
    await rename(kept, lab.site.root);
  }
  await lab.site.start();
  await lab.site.healthy();
});

test('one flipped byte in a repository is found', opts, async () => {
  const archives = join(lab.repositories.local!, 'cms');
  const marks = readdirSync(archives).filter((name) => name.endsWith('.json'));
  const newest = marks.sort().at(-1)?.replace(/json$/, 'tar.zst') ?? '';
  flip(join(archives, newest), 50_000);
  const proof = await runPlain(lab, 'restoreTest', { site: 'cms', repository: 'local' });
  assert.equal(proof.outcome, 'failed', proof.said);
  flip(join(archives, newest), 50_000);

  const { stdout } = await run('find', [join(lab.repositories.nas!, 'data'), '-type', 'f', '-size', '+100k']);
  const pack = stdout.split('\n')[0] ?? '';
  await chmod(pack, 0o600);
  flip(pack, 50_000);
  const verified = await runPlain(lab, 'verify', { site: 'cms', depth: 'full' });
  assert.equal(verified.outcome, 'partial', verified.said);
  assert.deepEqual(
    verified.failures.map(({ type, repository }) => [repository, type]),
    [['nas', 'RepositoryDamaged']],
  );
  flip(pack, 50_000);
  const healed = await runPlain(lab, 'verify', { site: 'cms', depth: 'full' });
  assert.equal(healed.outcome, 'completed', healed.said);
  await atRest();
});

test(
  'a medium that the captured database refers to and that is gone fails the backup, with the site up',
  opts,
  async () => {
    const before = await bareSnapshots(lab);
    const folder = join(lab.site.media, readdirSync(lab.site.media)[1]!, '360p');
    const aside = join(lab.dir, basename(folder));
    await rename(folder, aside);
    const report = await runPlain(lab, 'backup', { site: 'cms' });
    await rename(aside, folder);
    assert.equal(report.outcome, 'failed', report.said);
    assert.deepEqual([...new Set(report.failures.map(({ type }) => type))], ['FilesVanished']);
    assert.deepEqual(await bareSnapshots(lab), before);
    await atRest();
  },
);

test('a site that is backed up online is never stopped', opts, async () => {
  const undo = await lab.configure(({ sites }) => {
    sites.cms.options = { online: true };
  });
  const pid = lab.site.pid();
  const writer = lab.site.writer();
  const report = await runPlain(lab, 'backup', { site: 'cms', repositories: ['local'] });
  await writer.end();
  await undo();
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(report.downtimeMs, undefined);
  assert.equal(lab.site.pid(), pid);
  const taken = Date.parse(report.capturedAt ?? '');
  const earlier = [...lab.site.acknowledged].filter(([, at]) => at < taken).map(([id]) => id);
  const stored = (await bareSnapshots(lab)).find(({ captureId }) => captureId === report.captureId)!;
  const rows = new Set((await bareRestore(lab, stored)).rows);
  assert.deepEqual(
    earlier.filter((id) => !rows.has(id) && id > 25),
    [],
  );
  await atRest();
});

test('bad inputs end the run at once, and name each mistake', opts, async () => {
  const cases: [workflow: string, input: unknown, ...told: RegExp[]][] = [
    ['backup', 'cms', /InvalidInput/, /must be an object/],
    ['backup', undefined, /InvalidInput/],
    ['backup', { site: 'cms', repository: 'nas', force: true }, /repository/, /force/],
    ['backup', {}, /site/],
    ['backup', { site: 'nosuch' }, /nosuch/, /cms/],
    ['backup', { site: 'cms', repositories: ['elsewhere'] }, /elsewhere/, /nas, local/],
    ['restore', { site: 'cms', target: '../../etc' }, /target/, /never a path/],
    ['restore', { site: 'cms', snapshot: '/etc/passwd' }, /snapshot/],
    ['restore', { site: 'cms', snapshot: '0123456789abcdef', target: 'x' }, /no repository has snapshot/],
    ['verify', { site: 'cms', depth: 'deep' }, /depth/],
    ['prune', { site: 'cms', allow: ['all'] }, /allow/],
  ];
  for (const [workflow, input, ...told] of cases) {
    const ended = await runPlain(lab, workflow, input).catch((error: Error) => error);
    const words = ended instanceof Error ? `${(ended as { type?: string }).type} ${ended.message}` : ended.said;
    for (const word of told) assert.match(words, word, `${workflow} ${JSON.stringify(input)}`);
  }
  await atRest();
});

test('the condition hook says not now with exit code 75', opts, async () => {
  const undo = await lab.configure(({ sites }) => {
    sites.cms.hooks = { condition: ['/bin/sh', '-c', 'exit 75'] };
  });
  const pid = lab.site.pid();
  const report = await runPlain(lab, 'backup', { site: 'cms' });
  await undo();
  assert.equal(report.outcome, 'skipped', report.said);
  assert.equal(lab.site.pid(), pid);
  await atRest();
});

test('a backup that is cancelled while it stores leaves no snapshot, and its report', opts, async () => {
  const slow = join(lab.dir, 'repositories/slow');
  const undo = await lab.configure(({ sites, repositories }) => {
    repositories.slow = { ...repositories.nas, location: slow, limits: { upload: '20KiB/s' } };
    sites.cms.repositories = ['slow'];
  });
  const handle = await startPlain(lab, 'backup', { site: 'cms' });
  assert.ok(await untilStep(lab, handle, 'store'));
  await eventually(
    'restic stores',
    60_000,
    () => existsSync(join(slow, 'locks')) && readdirSync(join(slow, 'locks'))[0],
  );
  await handle.cancel();
  const report = await reportOf(handle);
  await undo();
  assert.equal(report.outcome, 'cancelled', report.said);
  assert.equal((await handle.describe()).status.name, 'CANCELLED');
  assert.equal(reports(lab).at(-1)?.outcome, 'cancelled');
  const { stdout } = await restic({ ...lab, repositories: { nas: slow } }, 'snapshots', '--json', '--no-lock');
  assert.deepEqual(JSON.parse(stdout), []);
  await rm(slow, { recursive: true });
  await atRest();
});

test('prune removes what retention says, and nothing of others', opts, async () => {
  const other = join(lab.dir, 'other');
  await mkdir(other);
  await writeFile(join(other, 'page.html'), 'hello');
  const undo = await lab.configure(({ sites }) => {
    sites.cms.keep = { last: 1 };
    const { limits } = sites.cms;
    sites.other = { app: 'generic', root: other, service: 'none', repositories: ['nas', 'local'], limits };
  });
  const foreign = await runPlain(lab, 'backup', { site: 'other' });
  assert.equal(foreign.outcome, 'completed', foreign.said);
  const before = await bareSnapshots(lab);
  const newest = new Map(reports(lab).flatMap((report) => report.repositories.flatMap(verifiedIds)));
  const dry = await runPlain(lab, 'prune', { site: 'cms', dryRun: true, allow: ['most'] });
  assert.match(dry.said, /would remove/);
  const refused = await runPlain(lab, 'prune', { site: 'cms' });
  assert.ok(refused.notes.length > 0, 'the gate of half the snapshots says so');
  assert.deepEqual(await bareSnapshots(lab), before);
  const pruned = await runPlain(lab, 'prune', { site: 'cms', allow: ['most'] });
  await undo();
  assert.equal(pruned.outcome, 'completed', pruned.said);
  // What was proven last is kept beside what `last: 1` keeps.
  const proven = reports(lab).findLast(({ proof }) => proof?.outcome === 'proven')?.proof?.snapshot;
  const left = await bareSnapshots(lab);
  for (const repository of ['nas', 'local'] as const) {
    const kept = left.filter((snapshot) => snapshot.repository === repository).map(({ id }) => id);
    const expected = new Set([newest.get(repository), ...(repository === 'nas' ? [proven] : [])]);
    assert.deepEqual(new Set(kept), expected, repository);
  }
  assert.equal((await bareSnapshots(lab, 'other')).length, 2);
  await atRest();

  function verifiedIds({ repository, snapshot, level }: Report['repositories'][number]): [string, string][] {
    return snapshot && level === 'verified' ? [[repository, snapshot]] : [];
  }
});

test('check is answered by the worker, with its own user and environment', opts, async () => {
  // A command that has nothing on its path cannot have looked for itself.
  const { code, out, err } = await lab.holdfast(['check'], { env: { HOLDFAST_STATE_DIR: join(lab.dir, 'none') } });
  assert.equal(code, 0, out + err);
  assert.match(out, /runs as +\w+, Node 2/);
  assert.match(out, /cms: repository nas .*opens/);
  assert.doesNotMatch(out, /looked at by the command itself/);
  assert.match(out, /\nnext: holdfast (status|schedule apply)\n$/);
  assert.ok(!existsSync(join(lab.dir, 'none')), 'the command made no state of its own');
});

test('a schedule made from the config fires, by hand and by the clock', opts, async () => {
  const undo = await lab.configure(({ sites }) => {
    sites.cms.schedule = { backup: '* * * * *' };
    sites.cms.repositories = ['local'];
  });
  const applied = await lab.holdfast(['schedule', 'apply']);
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.out, /holdfast-backup-cms/);
  const done = () => reports(lab).filter(({ workflowId }) => workflowId.startsWith('backup-cms-'));
  const triggered = await lab.holdfast(['schedule', 'trigger', 'holdfast-backup-cms']);
  assert.equal(triggered.code, 0, triggered.err);
  await eventually('the triggered backup', 120_000, () => done().length >= 1);
  await eventually('the backup of the clock', 180_000, () => done().length >= 2);
  await undo();
  const removed = await lab.holdfast(['schedule', 'apply']);
  assert.match(removed.out, /- holdfast-backup-cms/);
  assert.deepEqual(
    done().map(({ outcome }) => outcome),
    done().map(() => 'completed'),
  );
  await eventually('the last one is over', 120_000, async () => (await locks(lab)).length === 0);
});

test('adopt rebuilds the config on an empty machine, which then lists and restores', opts, async () => {
  const cwd = join(lab.dir, 'empty');
  await mkdir(cwd);
  const place = { cwd, env: { HOLDFAST_STATE_DIR: join(cwd, 'state'), TEMPORAL_ADDRESS: '127.0.0.1:1' } };
  const adopted = await lab.holdfast(['adopt', lab.repositories.nas!, '--password', `file:${lab.passwordFile}`], place);
  assert.equal(adopted.code, 0, adopted.err);
  const valid = await lab.holdfast(['config', 'validate'], place);
  assert.equal(valid.code, 0, `${valid.out}${valid.err}`);
  const listed = await lab.holdfast(['snapshots', 'cms', '--json'], place);
  assert.equal(listed.code, 0, listed.err);
  for (const { id } of await bareSnapshots(lab)) assert.match(listed.out, new RegExp(id.slice(0, 8)));
  const status = await lab.holdfast(['status', '--json'], place);
  assert.match(status.out, /"cms"/);
});
