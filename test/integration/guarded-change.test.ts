import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { WorkflowHandle } from '@temporalio/client';
import { reportOf } from '../../src/client/follow.js';
import type { Progress, Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import { bareSnapshots, strays } from '../support/lab-look.js';
import { runPlain, startPlain } from '../support/lab-runs.js';
import { fingerprints, rowsOf } from '../support/lab-site.js';
import { eventually } from '../support/toy.js';

/*
 * Guarded changes of a real site on a real server: what an operation breaks comes back, whoever dies meanwhile, and nothing
 * that a visitor was told to be written is lost in silence. One site, one worker, one watchdog.
 */

const TOOLS = ['migrate', 'check', 'hang'] as const;

/** What the operation does: rows gone, a medium gone, a medium new, a directory new, and one more line in its own diary. */
const MIGRATE = `#!/bin/sh
set -eu
echo run >>"$DIARY"
sqlite3 database/database.sqlite "DELETE FROM web_pages; PRAGMA user_version = 77"
[ -n "\${KEEPS-}" ] || rm -rf "$(find videos/qualitys -mindepth 1 -maxdepth 1 -type d | sort | head -n 1)"
mkdir -p videos/qualitys/made-by-the-operation && echo new >videos/qualitys/made-by-the-operation/file
exit "$(cat "$DIARY.exit" 2>/dev/null || echo 0)"`;
/** Says what it was told to say, once the operation has run. */
const CHECK = `#!/bin/sh
[ -e "$DIARY" ] || exit 0
exit "$(cat "$DIARY.check" 2>/dev/null || echo 0)"`;
/** Half of it is done, then nothing more comes. */
const HANG = `#!/bin/sh
echo run >>"$DIARY"
sqlite3 database/database.sqlite "DELETE FROM web_pages"
exec sleep 600`;

let diary = '';
const opened = await createLab({
  videos: 2,
  mb: 1,
  engines: ['archive'],
  configure: (config, { dir }) => {
    diary = join(dir, 'tools', 'diary');
    const tool = (name: (typeof TOOLS)[number]) => ({ argv: [join(dir, 'tools', name)], env: { DIARY: diary } });
    const check = { command: tool('check') };
    config.sites.cms.operations = {
      migrate: { run: tool('migrate'), check },
      live: { run: tool('migrate'), check, writes: 'open' },
      hang: { run: tool('hang'), check },
      rows: { run: { ...tool('migrate'), env: { DIARY: diary, KEEPS: 'all' } }, check, touches: ['database'] },
    };
  },
});
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const opts = { skip };

before(async () => {
  if (skip) return;
  const dir = dirname(diary);
  await mkdir(dir, { mode: 0o755 });
  for (const [name, text] of [
    ['migrate', MIGRATE],
    ['check', CHECK],
    ['hang', HANG],
  ] as const) {
    await writeFile(join(dir, name), text);
    await chmod(join(dir, name), 0o755);
  }
  await lab.site.start();
  await Promise.all([lab.startWatchdog().then(() => lab.startWorker()), lab.site.healthy()]);
});
after(async () => {
  if (!skip) await lab.end();
});
afterEach(async () => {
  if (skip) return;
  for (const end of ['', '.exit', '.check']) await rm(`${diary}${end}`, { force: true });
});

interface World {
  rows: number[];
  media: string[];
}

const look = async (): Promise<World> => ({ rows: await lab.site.rows(), media: await fingerprints(lab.site.media) });
const times = (): number => (existsSync(diary) ? readFileSync(diary, 'utf8').trim().split('\n').length : 0);
const asides = (): string[] =>
  readdirSync(dirname(lab.site.root)).filter((name) => name.startsWith('.site.rolled-back-'));
const shelters = (): string[] =>
  readdirSync(dirname(lab.site.root)).filter((name) => name.startsWith('.site.holdfast-'));

/** Writes rows and says what the site is like. */
async function written(): Promise<World> {
  for (let i = 0; i < 3; i++) await lab.site.write();
  return look();
}

async function asked(handle: WorkflowHandle): Promise<Progress> {
  let progress: Progress | undefined;
  await eventually('it asks', 60_000, async () => {
    progress = await handle.query<Progress>('progress');
    return progress.decide || progress.outcome;
  });
  assert.ok(progress?.decide, `it ended ${progress?.outcome} instead`);
  return progress;
}

const decide = (handle: WorkflowHandle, action: 'keep' | 'rollBack') =>
  handle.executeUpdate<string, [object]>('decide', { args: [{ site: 'cms', action, by: 'a test' }] });

async function atRest(): Promise<void> {
  assert.equal(await lab.site.up(), true, 'the application is up');
  assert.deepEqual(shelters(), []);
  // A process that was ended goes a moment later.
  await eventually('nothing of ours runs', 30_000, () => strays(lab).length === 0).catch(() =>
    assert.deepEqual(strays(lab), []),
  );
}

test(
  'done and checked: it stays, and the state from before is a safety snapshot that latest never takes',
  opts,
  async () => {
    const { rows } = await written();
    const report = await runPlain(lab, 'guardedChange', { site: 'cms', operation: 'rows', reason: 'a test' });
    assert.equal(report.outcome, 'completed', report.said);
    assert.deepEqual({ rows: await lab.site.rows(), times: times() }, { rows: [], times: 1 });
    assert.ok(existsSync(join(lab.site.media, 'made-by-the-operation/file')));
    const [snapshot] = await bareSnapshots(lab);
    assert.equal(snapshot?.captureId, report.captureId);
    const database = execFileSync('sh', [
      '-c',
      'cd "$1" && zstd -dcq *.tar.zst | tar -x -C "$2" --wildcards "*/databases/*" && find "$2" -name "*.sqlite"',
      ...['sh', join(lab.repositories.local!, 'cms'), lab.scratch],
    ]);
    assert.deepEqual(await rowsOf(String(database).trim()), rows, 'as it was before');
    const latest = await runPlain(lab, 'restore', { site: 'cms', target: 'look' });
    assert.equal(latest.failures[0]?.type, 'SnapshotMissing');
    assert.deepEqual(asides(), []);
    await atRest();
  },
);

test('a check that fails: rows and files are as before, and what the operation made is kept', opts, async () => {
  const before = await written();
  await writeFile(`${diary}.check`, '1');
  const report = await runPlain(lab, 'guardedChange', { site: 'cms', operation: 'migrate' });
  assert.equal(report.failures[0]?.type, 'CheckFailed', report.said);
  assert.match(report.said, /^ROLLED BACK: .*exit code 1, 3 times/);
  assert.deepEqual(await look(), before);
  assert.equal(times(), 1);
  const [aside = ''] = asides();
  const kept = join(dirname(lab.site.root), aside);
  assert.deepEqual(await rowsOf(join(kept, 'database/database.sqlite')), []);
  assert.ok(existsSync(join(kept, 'videos/qualitys/made-by-the-operation/file')));
  const status = await lab.holdfast(['status', '--config', lab.configPath]);
  assert.match(status.out, /what was rolled back .* is kept at .*rolled-back-.* until/);
  await atRest();
  // Still the same database to the application.
  await lab.site.write();
  await rm(kept, { recursive: true });
});

test('an operation that fails and touches a part alone: only that part comes back', opts, async () => {
  const before = await written();
  await writeFile(`${diary}.exit`, '3');
  const second = await runPlain(lab, 'guardedChange', { site: 'cms', operation: 'rows' });
  assert.equal(second.failures[0]?.type, 'OperationFailed', second.said);
  assert.deepEqual((await look()).rows, before.rows);
  assert.ok(existsSync(join(lab.site.media, 'made-by-the-operation')), 'not named, and so left as it was');
  await atRest();
});

test('a worker killed in mid-operation: up within seconds, as before, asked, and never run again', opts, async () => {
  const before = await written();
  const handle = await startPlain(lab, 'guardedChange', { site: 'cms', operation: 'hang' });
  await eventually('the operation runs', 60_000, () => times() === 1);
  assert.equal(await lab.site.up(), false);
  const worker = lab.worker()!;
  worker.kill('SIGKILL');
  await lab.site.healthy(20_000);
  assert.deepEqual(await look(), before, 'the half-done state was taken back before the start');
  await lab.startWorker();
  const { waitsFor } = await asked(handle);
  assert.match(waitsFor ?? '', /^a decision about hang/);
  assert.equal(times(), 1);
  const later = await lab.site.write();
  await decide(handle, 'rollBack');
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'failed');
  assert.equal(report.rolledBack, true);
  assert.deepEqual((await look()).rows, [...before.rows, later]);
  assert.equal(times(), 1);
  await atRest();
});

test('a check that cannot look: what was done stays, the application is up, and the command says 5', opts, async () => {
  await written();
  await writeFile(`${diary}.check`, '75');
  const waits = await lab.holdfast(['guard', 'cms', 'rows', '--config', lab.configPath]);
  assert.equal(waits.code, 5, waits.err);
  assert.match(waits.out, /could not look[\s\S]*decide with: holdfast approve guarded-change-cms-\S+ --roll-back/);
  assert.deepEqual(await lab.site.rows(), []);
  const later = await lab.site.write();
  const approved = await lab.holdfast(['approve', 'cms', '--keep']);
  assert.equal(approved.code, 0, approved.err);
  const id = /guarded-change-cms-\S+/.exec(waits.out)?.[0] ?? '';
  const report = await reportOf(lab.client.workflow.getHandle(id));
  assert.equal(report.outcome, 'partial');
  assert.deepEqual(await lab.site.rows(), [later]);
  await atRest();
});

test('writes open: it asks and shows what is newer; a rollback keeps what visitors wrote meanwhile', opts, async () => {
  const before = await written();
  await writeFile(`${diary}.check`, '1');
  const handle = await startPlain(lab, 'guardedChange', { site: 'cms', operation: 'live' });
  await asked(handle);
  assert.equal(await lab.site.up(), true);
  const later = await lab.site.write();
  const notes = (await handle.query<Report>('report')).notes.join('\n');
  assert.match(notes, new RegExp(`now → before: database: .*web_pages 0 → ${before.rows.length}`));
  await decide(handle, 'rollBack');
  const report = await reportOf(handle);
  assert.match(report.said, /^ROLLED BACK by a test/);
  assert.deepEqual(await look(), before);
  const kept = asides().map((name) => join(dirname(lab.site.root), name, 'database/database.sqlite'));
  const rows = await Promise.all(kept.filter((file) => existsSync(file)).map((file) => rowsOf(file)));
  assert.ok(
    rows.some((each) => each.length === 1 && each[0] === later),
    'what was written meanwhile is not lost',
  );
  await atRest();
});

test('a fleet of all sites is one run each, and its worst outcome is the exit code', opts, async () => {
  const all = await lab.holdfast(['fleet', 'backup', '--all', '--json']);
  assert.equal(all.code, 0, all.err);
  const { report } = JSON.parse(all.out);
  assert.deepEqual([report.said, report.sites[0].outcome], ['backup of 1 site: 1 completed', 'completed']);
  assert.ok((await bareSnapshots(lab)).length > 0);

  await atRest();
});
