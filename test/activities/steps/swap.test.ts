import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { readAsides } from '../../../activities/aside.js';
import { openSite } from '../../../activities/site/site.js';
import { asideTree, besideTree, runTag } from '../../../activities/steps/fetch-place.js';
import { swap } from '../../../activities/steps/swap.js';
import { freezePlan } from '../../../src/config/freeze.js';
import { Plan } from '../../../src/core/plan.js';
import { runWatchdog } from '../../../worker/watchdog.js';
import { testContext } from '../../support/context.js';

const RUN = '01234567-89ab-cdef-0123-456789abcdef';
const FILES = { 'media/1/a': 'a', 'data/keys': 'k', '.env': 'e' };

async function tree(root: string, state: string): Promise<void> {
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), `${state} ${text}`);
  }
  execFileSync('sqlite3', [join(root, 'data/app.db'), `CREATE TABLE t (x); INSERT INTO t VALUES ('${state}')`]);
}

const look = async (root: string): Promise<string[]> => [
  ...(await Promise.all(Object.keys(FILES).map((path) => readFile(join(root, path), 'utf8')))),
  // Else the log beside it would be folded in, and gone.
  execFileSync('sqlite3', [`file:${join(root, 'data/app.db')}?immutable=1`, 'SELECT x FROM t'], {
    encoding: 'utf8',
  }).trim(),
];

test('a site whose files are all one set is swapped by whole directories, repeated without harm, and taken back whole', async () => {
  const ctx = await testContext({ site: 'app' });
  const { state } = ctx;
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-swap-'));
  const root = join(dir, 'app');
  const database = { kind: 'sqlite' as const, name: 'app', path: join(root, 'data/app.db') };
  const plan = Plan.parse({
    ...{ schema: 1, site: 'app', siteId: 'app', app: 'generic', host: 'local', root, uncovered: [], options: {} },
    services: [{ kind: 'none', name: 'none', stopTimeoutMs: 0 }],
    databases: [database],
    fileSets: [{ name: 'files', root, change: 'mutable', exclude: ['data/app.db', 'data/app.db-wal'] }],
    repositories: [{ name: 'nas', engine: 'archive', location: join(dir, 'nas') }],
    ...{ hooks: {}, notify: [], limits: { downtimeMs: 60_000 }, objectives: {}, restore: {}, restoreTest: {} },
    configText: '',
  });
  const digest = await freezePlan(state.plans, plan);
  const tag = runTag({ firstRunId: RUN });
  const site = join(besideTree(dir, plan, tag), 'site');
  await tree(root, 'old');
  await writeFile(join(root, 'data/app.db-wal'), 'stale');
  await tree(site, 'new');
  await mkdir(join(site, '.holdfast'));
  const entry = { name: 'app', kind: 'sqlite', format: 'file', file: 'databases/app/app.sqlite', path: database.path };
  const manifest = {
    ...{ schema: 1, holdfast: '0', captureId: 'c', runId: 'r', site: 'app', siteId: 'app', app: 'generic' },
    ...{ host: 'local', root, kind: 'regular', capturedAt: 'x', filesAsOf: 'x', consistency: 'stopped' },
    ...{ staging: '/staging', uncovered: [], tools: {}, notes: [] },
    databases: [{ ...entry, bytes: 1, sha256: 'x', fingerprint: { tables: {}, schemaSha256: 'x', userVersion: 0 } }],
    fileSets: [
      { name: 'files', root, where: 'staged', files: 3, bytes: 3, list: 'lists/files.jsonl', listSha256: 'x' },
    ],
  };
  await writeFile(join(site, '.holdfast/manifest.json'), JSON.stringify(manifest));
  const end = new AbortController();
  const watchdog = runWatchdog({ stateDir: state.root, signal: end.signal });
  try {
    const guard = openSite(state, 'app');
    const holder = {
      namespace: 'n',
      namespaceId: 'n',
      workflowId: 'restore-app',
      firstRunId: RUN,
      workflow: 'restore',
    };
    await guard.hold(holder);
    const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const deps = { state, host: 'local', hostId: 'id', configPath: '', namespace: 'n', namespaceId: 'n' };
    const input = { site: 'app', host: 'local', hostId: 'id', plan: digest, snapshot: 's', repository: 'nas', epoch };
    const env = () =>
      new MockActivityEnvironment({
        workflowExecution: { workflowId: 'restore-app', runId: RUN },
        workflowType: 'restore',
      });
    await env().run(swap(deps), input);
    assert.deepEqual(await look(root), ['new a', 'new k', 'new e', 'new']);
    assert.equal(existsSync(join(root, 'data/app.db-wal')), false);
    assert.equal(existsSync(join(root, '.holdfast')), false);
    const aside = asideTree(dir, plan, tag);
    assert.deepEqual(await look(aside), ['old a', 'old k', 'old e', 'old']);
    assert.deepEqual(
      (await readAsides(state, 'app')).map(({ path }) => path),
      [aside],
    );
    // As a program leaves it that had the database of before open, and is killed.
    await writeFile(join(root, 'data/app.db-wal'), 'pages of the old one');
    await env().run(swap(deps), input);
    assert.equal(existsSync(join(root, 'data/app.db-wal')), false, 'it would be replayed into the restored database');
    assert.deepEqual(await look(root), ['new a', 'new k', 'new e', 'new']);
    assert.deepEqual(await look(aside), ['old a', 'old k', 'old e', 'old']);
    await guard.ensureUp('recover', { epoch, withinMs: 60_000 }, ctx);
    assert.deepEqual(await look(root), ['old a', 'old k', 'old e', 'old']);
    assert.deepEqual(await look(site), ['new a', 'new k', 'new e', 'new']);
    assert.equal(await readFile(join(root, 'data/app.db-wal'), 'utf8'), 'stale');
    assert.deepEqual((await readdir(join(root, 'media'))).sort(), ['1']);
  } finally {
    end.abort();
    await watchdog;
  }
});
