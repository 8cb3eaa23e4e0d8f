import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { objectPath } from '../../activities/checks/seafile-objects.js';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import { strays } from '../support/lab-look.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { fingerprints } from '../support/lab-site.js';
import { NO_MYSQL, openMysql } from '../support/mysql-server.js';
import { type SeafileLab, seafileLab } from '../support/seafile-lab.js';
import { MAIN, SECRET } from '../support/seafile-site.js';
import { eventually } from '../support/toy.js';

/*
 * Seafile with SQLite databases on a real server: backed up by its own rules, destroyed, restored, proven. One site; the
 * tests build on each other's snapshots.
 */

let seafile: SeafileLab;
let cloud: SeafileLab;
const mysql = NO_MYSQL ? undefined : await openMysql();
const opened = await createLab({
  engines: ['archive'],
  configure: (config, { dir }) => {
    seafile = seafileLab(dir);
    const { restoreTest, limits } = config.sites.cms;
    config.sites = {
      files: {
        ...{ app: 'seafile', root: seafile.root, ...seafile.lines, limits, repositories: ['local'] },
        restoreTest: { scratch: restoreTest.scratch, sample: '1/1' },
      },
    };
    if (!mysql) return;
    cloud = seafileLab(join(dir, 'docker'), { layout: 'docker', sqlite: false });
    const { socket, user } = mysql.spec('seafile', []);
    config.sites.cloud = {
      ...{ app: 'seafile', root: cloud.root, ...cloud.lines, limits, repositories: ['local'] },
      options: { layout: 'docker', mysql: { socket, user } },
      restoreTest: { scratch: restoreTest.scratch, sample: '1/1' },
    };
  },
});
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const opts = { skip };

before(async () => {
  if (!skip) await lab.startWatchdog().then(() => lab.startWorker());
});
after(async () => {
  if (!skip) await lab.end();
  await mysql?.close();
});

const archives = (site = 'files') => join(lab.repositories.local!, site);
const contents = (site = 'files') => {
  const newest = readdirSync(archives(site))
    .filter((name) => name.includes('.tar.'))
    .sort()
    .at(-1);
  return execFileSync('tar', ['-tf', join(archives(site), newest ?? '')])
    .toString()
    .split('\n');
};
const head = (root: string) =>
  execFileSync('sqlite3', [
    '-readonly',
    join(root, 'seafile-data/seafile.db'),
    `SELECT commit_id FROM Branch WHERE repo_id = '${MAIN}'`,
  ])
    .toString()
    .trim();
/** All of an installation: files by their hash and mode, databases by what they hold. */
const portrait = async (root: string) => {
  const files = (await fingerprints(root)).filter((line) => !/\.db(-wal|-shm)?$|\/pids\/|\/\.holdfast\//.test(line));
  const rows = seafile.databases.map((path) =>
    execFileSync('sqlite3', [path.replace(seafile.root, root), '.dump']).toString(),
  );
  return { files, rows };
};
const backup = () => runPlain(lab, 'backup', { site: 'files' });
let [first, second]: Report[] = [];

test(
  'services stop in their order and start in the reverse; dumps carry their time, and everything of the directory is there',
  opts,
  async () => {
    const before = await portrait(seafile.root);
    first = await backup();
    assert.equal(first.outcome, 'completed', first.said);
    assert.equal(first.repositories[0]?.level, 'verified');
    assert.deepEqual(first.failures, []);
    assert.deepEqual(first.uncovered, []);
    assert.deepEqual(seafile.calls(), ['stop seahub', 'stop seafile', 'start seafile', 'start seahub']);
    const names = contents();
    const dumps = names
      .flatMap((name) => /\/databases\/(.+)$/.exec(name)?.[1] ?? [])
      .filter((name) => !name.endsWith('/'));
    assert.equal(dumps.length, 6);
    for (const dump of dumps) assert.match(dump, /^[a-z]+\/[a-z]+\.db\.sql\.\d{8}T\d{6}Z$/);
    const has = (path: string) => names.some((name) => name.endsWith(`/haiwen/${path}`));
    for (const path of ['conf/seafile.conf', 'seahub-data/avatars/default.png', 'seafile-server-11.0.12/seafile.sh'])
      assert.ok(has(path), path);
    assert.ok(has('seafile-server-latest') && !has('pids/seaf-server.pid'));
    assert.ok(!names.some((name) => /haiwen\/.*\.db(-wal|-shm)?$/.test(name)), 'no live database among the files');
    assert.deepEqual(await portrait(seafile.root), before);
  },
);

test('a restore test proves it; an older dump on newer data too, and says which', opts, async () => {
  const { main } = seafile.libraries;
  const root = main.dir({ name: 'new.txt', id: main.file('of the second day'), dir: false });
  const commit = main.commit({ root, ctime: 1_700_009_000, parent: head(seafile.root) });
  execFileSync('sqlite3', [
    join(seafile.root, 'seafile-data/seafile.db'),
    `UPDATE Branch SET commit_id = '${commit}' WHERE repo_id = '${MAIN}'`,
  ]);
  second = await backup();
  assert.equal(second.outcome, 'completed', second.said);
  const proven = await runPlain(lab, 'restoreTest', { site: 'files' });
  assert.match(proven.said, /^PROVEN: \d+ checks passed on local/);
  assert.match(proven.proof?.checks.find(({ name }) => name === 'commits')?.evidence ?? '', /^6 commits/);
  assert.equal(proven.proof?.captureId, second.captureId);

  const older = first?.repositories[0]?.snapshot ?? '';
  const pair = await runPlain(lab, 'restoreTest', { site: 'files', databaseSnapshot: older });
  assert.match(pair.said, /^PROVEN: .* with the databases of /);
  assert.equal(pair.proof?.captureId, second.captureId);
  assert.ok(older.startsWith(pair.proof?.databaseSnapshot ?? 'none'));
  assert.match(pair.proof?.checks.find(({ name }) => name === 'commits')?.evidence ?? '', /^5 commits/);
  const proofs = readdirSync(join(lab.state, 'proofs/files'));
  assert.equal(proofs.length, 1, 'a pair proves neither snapshot alone');
});

test('newer databases on older data do not prove: what is missing is named with its library', opts, async () => {
  const report = await runPlain(lab, 'restoreTest', {
    site: 'files',
    snapshot: first?.captureId,
    databaseSnapshot: second?.captureId,
  });
  assert.equal(report.outcome, 'failed');
  assert.match(report.said, /^NOT PROVEN with the databases of/);
  const messages = report.failures.map(({ message }) => message).join('\n');
  assert.match(messages, new RegExp(`commits: 1 of \\d+ .*: library ${MAIN}: commit ${head(seafile.root)} is missing`));
});

test('a restore into a directory with an older dump is both, as asked for', opts, async () => {
  const { outcome, said } = await runPlain(lab, 'restore', {
    site: 'files',
    target: 'both',
    databaseSnapshot: first?.captureId,
  });
  assert.equal(outcome, 'completed', said);
  const root = join(lab.restored, 'both');
  assert.equal(head(root), seafile.commits.head);
  const newer = objectPath(join(root, 'seafile-data/storage'), 'commits', MAIN, head(seafile.root));
  assert.ok(existsSync(newer), 'the files are the newer ones');
  rmSync(root, { recursive: true });
});

test('destroyed and restored in place, it is what it was, and runs', opts, async () => {
  const before = await portrait(seafile.root);
  for (const name of readdirSync(seafile.root)) rmSync(join(seafile.root, name), { recursive: true });
  seafile.calls();
  const handle = await startPlain(lab, 'restore', { site: 'files' });
  await approve(handle, 'files');
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(seafile.calls(), ['stop seahub', 'stop seafile', 'start seafile', 'start seahub']);
  assert.deepEqual(await portrait(seafile.root), before);
  const again = await backup();
  assert.equal(again.outcome, 'completed', again.said);
  // A process that was ended goes a moment later.
  await eventually('nothing of ours runs', 30_000, () => strays(lab).length === 0).catch(() =>
    assert.deepEqual(strays(lab), []),
  );
});

test('a set whose data did not get there in full is no snapshot: the latest is the one before', opts, async () => {
  const marks = readdirSync(archives()).filter((name) => name.endsWith('.json'));
  const newest = join(archives(), marks.sort().at(-1) ?? '');
  renameSync(newest, `${newest}.aside`);
  const report = await runPlain(lab, 'restoreTest', { site: 'files' });
  assert.equal(report.outcome, 'completed', report.said);
  assert.equal(report.proof?.captureId, second?.captureId);
  const { out } = await lab.holdfast(['snapshots', 'files', '--json']);
  assert.equal((JSON.parse(out) as { snapshots: unknown[] }).snapshots.length, marks.length - 1);
  renameSync(`${newest}.aside`, newest);
});

const noServer = { skip: skip || NO_MYSQL };
const SCHEMAS = ['ccnet', 'seafile', 'seahub'] as const;

test(
  'with MySQL it is backed up while it runs: one dated dump of all three databases, and proven',
  noServer,
  async () => {
    for (const each of SCHEMAS) await mysql!.fill(`${each}_db`, `${cloud.sql[each].join(';\n')};`);
    const report = await runPlain(lab, 'backup', { site: 'cloud' });
    assert.equal(report.outcome, 'completed', report.said);
    assert.deepEqual(cloud.calls(), [], 'it was never stopped');
    const names = contents('cloud');
    assert.ok(names.some((name) => /\/databases\/seafile\/seafile\.sql\.\d{8}T\d{6}Z$/.test(name)));
    const proven = await runPlain(lab, 'restoreTest', { site: 'cloud' });
    assert.match(proven.said, /^PROVEN/);
    const evidence = (name: string) => proven.proof?.checks.find((check) => check.name === name)?.evidence ?? '';
    assert.equal(evidence('libraries'), 'each of 3 libraries has its branch');
    assert.equal(evidence('owners'), 'each of 3 owners has an account');
    assert.match(evidence('block contents'), /^5 blocks/);
  },
);

test('schemas and libraries that are gone come back in place', noServer, async () => {
  const before = await fingerprints(cloud.root);
  await mysql!.server.execute(
    'DELETE FROM seafile_db.Branch; DROP TABLE ccnet_db.EmailUser; DELETE FROM seahub_db.share_fileshare;',
  );
  for (const name of readdirSync(cloud.root)) rmSync(join(cloud.root, name), { recursive: true });
  const handle = await startPlain(lab, 'restore', { site: 'cloud' });
  await approve(handle, 'cloud');
  const report = await reportOf(handle);
  assert.equal(report.outcome, 'completed', report.said);
  assert.deepEqual(cloud.calls(), ['stop seahub', 'stop seafile', 'start seafile', 'start seahub']);
  const found: string[] = [];
  for await (const { id } of mysql!.server.rows<{ id: string }>(
    `SELECT JSON_OBJECT('id', commit_id) FROM seafile_db.Branch WHERE repo_id = '${SECRET}' UNION ALL SELECT JSON_OBJECT('id', email) FROM ccnet_db.EmailUser`,
  ))
    found.push(id);
  assert.deepEqual(found, [cloud.commits.secret, 'ann@example.org', 'bob@example.org']);
  const kept = before.filter((line) => !line.includes('/pids/'));
  assert.deepEqual(
    (await fingerprints(cloud.root)).filter((line) => !line.includes('/pids/')),
    kept,
  );
});
