import assert from 'node:assert/strict';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { register } from '../../../src/cli/explain.js';
import { runCommand } from '../../support/config-cli.js';

let dir: string;
before(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-explain-')));
  await mkdir(join(dir, 'wiki/cache'), { recursive: true });
  await mkdir(join(dir, 'wiki/extra'), { recursive: true });
  await mkdir(join(dir, 'wiki/pages'), { recursive: true });
  await mkdir(join(dir, 'state/reports/wiki'), { recursive: true });
  await writeFile(
    join(dir, 'holdfast.yaml'),
    `version: 1
defaults: { timezone: Europe/Zurich, keep: { daily: 7, weekly: 4 } }
repositories:
  nas: { engine: archive, location: /mnt/nas/backups }
  offsite: { engine: restic, location: "s3:https://s3.example.com/b", offsite: true, password: { env: KEY } }
sites:
  wiki:
    app: generic
    root: wiki
    service: { process: { pidFile: app.pid, start: [./app] } }
    health: { http: "http://127.0.0.1:8080/" }
    options:
      databases: [{ kind: sqlite, path: wiki.sqlite }]
      files: [{ name: pages, path: pages, change: immutable, exclude: [tmp] }]
      exclude: [cache]
    repositories: [nas, { use: offsite, keep: { monthly: 24 } }]
    schedule: { backup: "0 3 * * *" }
`,
    { mode: 0o600 },
  );
});
after(() => rm(dir, { recursive: true, force: true }));

const explain = (...args: string[]) =>
  runCommand(register, ['explain', ...args], {
    cwd: dir,
    env: { HOLDFAST_STATE_DIR: join(dir, 'state') },
    now: () => new Date('2026-11-21T12:00:00Z'),
  });

const report = (startedAt: string, downtimeMs: number) => ({
  schemaVersion: 1,
  workflow: 'backup',
  workflowId: 'backup-wiki',
  runId: startedAt,
  site: 'wiki',
  host: 'local',
  outcome: 'completed',
  said: 'done',
  startedAt,
  downtimeMs,
});

describe('holdfast explain', () => {
  it('says what a run would do, before the first', async () => {
    const { code, out } = await explain('wiki');
    assert.equal(code, 0);
    assert.equal(
      out.replaceAll(dir, '…'),
      `wiki: generic in …/wiki on local

Stopped, and started again
  app  process  up when http://127.0.0.1:8080/ answers 200

Captured
  database  wiki   sqlite, as a file, while it is stopped  wiki.sqlite
  files     pages  stored after the restart                pages

Excluded
  pages/tmp
  cache

Uncovered: neither captured nor excluded
  extra/

Goes to
  nas      archive  /mnt/nas/backups             keeps 7 daily, 4 weekly
  offsite  restic   s3:https://s3.example.com/b  keeps 7 daily, 4 weekly, 24 monthly  offsite

Expected downtime
  not measured yet: stop, copy of the databases and start; ended at 5m

Runs by itself
  backup  0 3 * * *  next 2026-11-22 03:00 CET
`,
    );
  });

  it('expects the downtime that was measured, and tells it as JSON', async () => {
    for (const [at, ms] of [
      ['2026-11-18T03:00:00Z', 1400],
      ['2026-11-19T03:00:00Z', 200_000],
      ['2026-11-20T03:00:00Z', 1300],
    ] as const)
      await writeFile(join(dir, 'state/reports/wiki', `${at}.json`), JSON.stringify({ ...report(at, ms) }));
    assert.match((await explain('wiki')).out, /^ {2}1\.40 s \(last 1\.30 s, 3m20s, 1\.40 s\); ended at 5m$/m);
    const json = JSON.parse((await explain('wiki', '--json')).out);
    assert.deepEqual(json.downtimeMs, [1300, 200_000, 1400]);
    assert.deepEqual(json.uncovered, ['extra/']);
    assert.equal(json.schedules[0].next, '2026-11-22T02:00:00.000Z');
  });

  it('names the sites that there are', async () => {
    const { code, err } = await explain('wkii');
    assert.equal(code, 2);
    assert.match(err, /there is no site "wkii".*known: wiki/);
  });
});
