import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Command } from 'commander';
import { parse } from 'yaml';
import { engines } from '../../../activities/engines/index.js';
import { register as registerAdopt } from '../../../src/cli/adopt.js';
import { createCli } from '../../../src/cli/context.js';
import { register as registerKit } from '../../../src/cli/kit.js';
import type { Manifest } from '../../../src/core/manifest.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';

const PASSWORD = 'correct-horse';

/** A machine with a site, backed up into a repository by the real engine. */
async function backedUp(t: TestContext, engine: 'restic' | 'archive') {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-adopt-'));
  t.after(() => rm(dir, { recursive: true, force: true }));
  const key = join(dir, 'restic.key');
  await writeFile(key, `${PASSWORD}\n`, { mode: 0o600 });
  const location = join(dir, 'repo');
  const password = engine === 'restic' ? { password: { file: key } } : {};
  const repo = RepositorySpec.parse({ name: 'nas', engine, location, ...password });
  const config = {
    version: 1,
    repositories: { nas: { engine, location, ...password } },
    sites: { cms: { app: 'generic', root: join(dir, 'site'), service: 'none', repositories: ['nas'] } },
  };
  const ctx = await testContext();
  await engines[engine].init(repo, ctx);
  for (const n of [1, 2]) await store(dir, repo, config, n);
  return { dir, key, location, config, repo };
}

async function store(dir: string, repo: RepositorySpec, config: object, n: number): Promise<void> {
  const staging = join(dir, 'state/staging/cms/current');
  await rm(staging, { recursive: true, force: true });
  await mkdir(join(staging, 'reports'), { recursive: true });
  const at = `2026-11-2${n}T03:00:00.000Z`;
  const manifest = {
    ...{ schema: 1, holdfast: '0.1.0', captureId: `00000000-0000-4000-8000-00000000000${n}`, runId: `run-${n}` },
    ...{ site: 'cms', siteId: 'cms-id', app: 'generic', host: 'local', root: dir, kind: 'regular' },
    ...{ capturedAt: at, filesAsOf: at, consistency: 'stopped', staging },
    ...{ databases: [], fileSets: [], uncovered: [], tools: {}, notes: [] },
  } as Manifest;
  const report = {
    ...{ schemaVersion: 1, workflow: 'backup', workflowId: 'b', runId: `run-${n}`, site: 'cms', host: 'local' },
    ...{ outcome: 'completed', said: 'done', startedAt: at },
  };
  await writeFile(join(staging, 'manifest.json'), JSON.stringify(manifest));
  await writeFile(
    join(staging, 'holdfast.yaml'),
    JSON.stringify({ ...config, defaults: { timezone: `Etc/GMT-${n}` } }),
  );
  await writeFile(join(staging, 'RESTORE.md'), `restore ${n}\n`);
  await writeFile(join(staging, 'reports/1.json'), JSON.stringify(report));
  const request = { paths: [staging], exclude: [], manifest, runId: `run-${n}`, kind: 'regular' as const };
  const ctx = await testContext();
  await engines[repo.engine].backup(repo, { ...request, workDir: join(dir, 'work') }, ctx);
}

/** Runs the command as on another machine: an empty directory, a state directory of its own. */
async function command(cwd: string, ...args: string[]) {
  let text = '';
  let errors = '';
  const cli = createCli({
    cwd,
    env: { ...process.env, HOLDFAST_STATE_DIR: join(cwd, 'state') },
    write: (s) => {
      text += s;
    },
    writeError: (s) => {
      errors += s;
    },
  });
  const program = new Command().exitOverride();
  registerAdopt(program, cli);
  registerKit(program, cli);
  const before = process.exitCode;
  await program.parseAsync(['node', 'holdfast', ...args]);
  const code = process.exitCode;
  process.exitCode = before;
  return { code, text, errors };
}

function hasRestic(): boolean {
  try {
    execFileSync('restic', ['version']);
    return true;
  } catch {
    return false;
  }
}

for (const engine of ['archive', 'restic'] as const)
  test(`adopt rebuilds the config from ${engine}, and the same again refuses`, async (t) => {
    if (engine === 'restic' && !hasRestic()) return t.skip('restic is not installed');
    const { dir, key, location, config } = await backedUp(t, engine);
    const empty = join(dir, 'empty');
    await mkdir(empty);
    const flags = engine === 'restic' ? ['--password', `file:${key}`] : [];
    const done = await command(empty, 'adopt', location, ...flags);
    assert.deepEqual([done.code, done.errors], [0, '']);
    const text = await readFile(join(empty, 'holdfast.yaml'), 'utf8');
    assert.deepEqual(parse(text), { ...config, defaults: { timezone: 'Etc/GMT-2' } });
    assert.equal(await readFile(join(empty, 'holdfast-adopted/cms-id/RESTORE.md'), 'utf8'), 'restore 2\n');
    const { runId } = JSON.parse(await readFile(join(empty, 'holdfast-adopted/cms-id/manifest.json'), 'utf8'));
    assert.equal(runId, 'run-2');
    assert.match(done.text, /^cms-id: snapshot \S+ of 2026-11-22T03:00:00\.000Z, 1 reports\n/);
    assert.match(done.text, /next: holdfast config validate\n$/);
    assert.ok((await stat(join(empty, 'state/reports/cms'))).isDirectory());

    await writeFile(join(empty, 'holdfast.yaml'), 'mine');
    const again = await command(empty, 'adopt', location, ...flags);
    assert.equal(again.code, 2);
    assert.match(again.errors, /is there already and is not overwritten/);
    assert.equal(await readFile(join(empty, 'holdfast.yaml'), 'utf8'), 'mine');
  });

test('adopt says what is wrong with what it was given', async (t) => {
  const { dir, location } = await backedUp(t, 'archive');
  const empty = join(dir, 'empty');
  await mkdir(empty);
  const wrong: [string[], number, RegExp][] = [
    [[location, '--engine', 'borg'], 2, /there is no engine "borg"; name restic or archive/],
    [[location, '--password', PASSWORD], 2, /is no reference to a secret/],
    [['/nonexistent'], 2, /restic opens with a password only/],
    [[location, '--site', 'wiki'], 1, /no snapshot of wiki in this repository; it holds: cms-id/],
    [[dir, '--engine', 'archive'], 1, /no archive repository/],
  ];
  for (const [args, code, expected] of wrong) {
    const said = await command(empty, 'adopt', ...args);
    assert.equal(said.code, code, said.errors);
    assert.match(said.errors, expected);
  }
  await assert.rejects(stat(join(empty, 'holdfast.yaml')));
});

test('kit shows fingerprints, never secrets; its adopt command adopts', async (t) => {
  if (!hasRestic()) return t.skip('restic is not installed');
  const { dir, key, location, config } = await backedUp(t, 'restic');
  await writeFile(join(dir, 'holdfast.yaml'), JSON.stringify(config));
  const { code, text, errors } = await command(dir, 'kit');
  assert.deepEqual([code, errors], [0, '']);
  const fingerprint = createHash('sha256').update(PASSWORD).digest('hex').slice(0, 8);
  assert.match(text, new RegExp(`password: the secret file ${key}; fingerprint \`${fingerprint}\``));
  assert.doesNotMatch(text, new RegExp(PASSWORD));
  assert.match(text, /restic \d+\.\d+/);
  const [, line = ''] = /`(holdfast adopt [^`]*)`/.exec(text) ?? [];
  const args = line
    .split(' ')
    .slice(1)
    .map((arg) => arg.replaceAll("'", ''));
  assert.ok(args.includes(location));
  const empty = join(dir, 'empty');
  await mkdir(empty);
  assert.equal((await command(empty, ...args)).code, 0);

  await rm(key);
  const without = await command(dir, 'kit', '--json');
  const [repository] = JSON.parse(without.text).kit.repositories;
  assert.deepEqual(repository.keys, [
    { what: 'password', from: `the secret file ${key}`, unreadable: 'it is not there, or not for this user' },
  ]);
});
