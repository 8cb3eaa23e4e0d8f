import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import type { Asked, Examined, Operated } from '../../../activities/api.js';
import { dropAside, noteAside, readAsides } from '../../../activities/aside.js';
import { stagingOf } from '../../../activities/capture/layout.js';
import type { Deps } from '../../../activities/deps.js';
import { openSite } from '../../../activities/site/site.js';
import { ask } from '../../../activities/steps/ask.js';
import { dump } from '../../../activities/steps/dump.js';
import { examine } from '../../../activities/steps/examine.js';
import { asideTree, besideTree, rolledBackTree, runTag } from '../../../activities/steps/fetch-place.js';
import { operate } from '../../../activities/steps/operate.js';
import { shelter } from '../../../activities/steps/shelter.js';
import { turn } from '../../../activities/steps/turn.js';
import { freezePlan } from '../../../src/config/freeze.js';
import { Plan } from '../../../src/core/plan.js';
import { runWatchdog } from '../../../worker/watchdog.js';
import { testContext } from '../../support/context.js';

const RUN = '01234567-89ab-cdef-0123-456789abcdef';
const CAPTURE = '11111111-2222-3333-4444-555555555555';

/** A site whose root is one set with holes in it, a set of media, and a file that may be absent. */
async function site(operation: object = {}, more: object[] = []) {
  const ctx = await testContext({ site: 'app' });
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-guarded-'));
  const root = join(dir, 'app');
  const plan = Plan.parse({
    ...{ schema: 1, site: 'app', siteId: 'app', app: 'generic', host: 'local', root, uncovered: [], options: {} },
    services: [{ kind: 'none', name: 'none', stopTimeoutMs: 0 }],
    databases: [{ kind: 'sqlite', name: 'app', path: join(root, 'data/app.db') }, ...more],
    fileSets: [
      {
        name: 'files',
        root,
        change: 'mutable',
        exclude: ['data/app.db', 'data/app.db-wal', 'media', 'cache', 'late.conf'],
      },
      { name: 'media', root: join(root, 'media'), change: 'immutable' },
      { name: 'late', root, include: ['late.conf'], change: 'mutable', optional: true },
    ],
    repositories: [{ name: 'nas', engine: 'archive', location: join(dir, 'nas') }],
    operations: { update: { run: { argv: ['true'] }, ...operation } },
    ...{ hooks: {}, notify: [], limits: { downtimeMs: 60_000 }, objectives: {}, restore: {}, restoreTest: {} },
    configText: '',
  });
  const files = {
    '.env': 'e',
    'data/keys': 'k',
    'code/a': 'a',
    'media/1/video': 'v',
    'media/2/video': 'w',
    'cache/x': 'x',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  sql(join(root, 'data/app.db'), "PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES ('old')");
  const deps: Deps = {
    state: ctx.state,
    host: 'local',
    hostId: 'id',
    configPath: '',
    namespace: 'n',
    namespaceId: 'n',
  };
  const digest = await freezePlan(ctx.state.plans, plan);
  const base = { site: 'app', host: 'local', hostId: 'id', plan: digest, operation: 'update', changeId: RUN };
  return { ctx, dir, root, plan, deps, base };
}

const holder = { namespace: 'n', namespaceId: 'n', workflowId: 'change', firstRunId: RUN, workflow: 'guardedChange' };
const env = (attempt = 1) =>
  new MockActivityEnvironment({
    attempt,
    workflowExecution: { workflowId: 'change', runId: RUN },
    workflowType: 'guardedChange',
  });

const sql = (file: string, text: string) => execFileSync('sqlite3', [file, text], { encoding: 'utf8' }).trim();

/** Every file below the root and what it says; the database by its rows, without a change to what lies there. */
function look(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const name = path.slice(root.length + 1);
    if (!entry.isFile() || name.startsWith('data/app.db')) continue;
    found[name] = readFileSync(path, 'utf8');
  }
  return found;
}

/** What an update may do to a site: a killed program leaves a log beside the database. */
async function update(root: string): Promise<void> {
  await writeFile(join(root, 'code/a'), 'changed');
  await writeFile(join(root, 'code/b'), 'new');
  await writeFile(join(root, 'added.php'), 'new');
  await writeFile(join(root, 'data/added'), 'new');
  await writeFile(join(root, 'late.conf'), 'new');
  await rm(join(root, 'media/1'), { recursive: true });
  await rm(join(root, '.env'));
  sql(join(root, 'data/app.db'), "UPDATE t SET x = 'new'");
  await writeFile(join(root, 'data/app.db-wal'), 'what a killed program left');
}

const watched = async (state: Deps['state'], use: () => Promise<void>): Promise<void> => {
  const end = new AbortController();
  const watchdog = runWatchdog({ stateDir: state.root, signal: end.signal });
  await use().finally(() => end.abort());
  await watchdog;
};

/** A section of its own whose way back lies beside the site. */
async function sheltered({ ctx, plan, deps, base }: Awaited<ReturnType<typeof site>>, undo: boolean) {
  const guard = openSite(deps.state, 'app');
  await guard.hold(holder);
  const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
  const capture = { ...base, captureId: CAPTURE, epoch };
  await env().run(dump(deps), capture);
  await env().run(shelter(deps), { ...capture, undo });
  return { guard, epoch };
}

test('whoever recovers a section brings back all of the state from before; a person may still choose the other one', async () => {
  const { ctx, dir, root, plan, deps, base } = await site();
  const before = look(root);
  await watched(deps.state, async () => {
    const guard = openSite(deps.state, 'app');
    await guard.hold(holder);
    const first = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const capture = { ...base, captureId: CAPTURE, epoch: first.epoch };
    sql(join(root, 'data/app.db'), 'PRAGMA wal_checkpoint(TRUNCATE)');
    await env().run(dump(deps), capture);
    await env().run(shelter(deps), { ...capture, undo: true });
    await env(2).run(shelter(deps), { ...capture, undo: true });
    assert.ok((await guard.read()).undo.length > 0, 'on disk before the operation begins');
    await update(root);
    const after = look(root);
    await guard.ensureUp('recover', { epoch: first.epoch, withinMs: 60_000 }, ctx);
    assert.deepEqual(look(root), before);
    assert.ok(!existsSync(join(root, 'data/app.db-wal')), 'else it would be replayed into the database from before');
    assert.equal(sql(join(root, 'data/app.db'), 'SELECT x FROM t'), 'old');
    const made = rolledBackTree(dir, plan, runTag(holder));
    assert.equal(await readFile(join(made, 'data/app.db-wal'), 'utf8'), 'what a killed program left');
    for (const name of ['added.php', 'data/added', 'late.conf', 'code/b'])
      assert.equal(await readFile(join(made, name), 'utf8'), 'new');
    const [aside] = await readAsides(deps.state, 'app');
    assert.deepEqual({ path: aside?.path, kind: aside?.kind }, { path: made, kind: 'rolled-back' });

    await writeFile(join(root, 'code/a'), 'written since');
    const second = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    for (const attempt of [1, 2])
      await env(attempt).run(turn(deps), { ...base, epoch: second.epoch, to: 'after' as const });
    assert.deepEqual(look(root), after);
    assert.equal(sql(`file:${join(root, 'data/app.db')}?immutable=1`, 'SELECT x FROM t'), 'new');
    assert.equal(await readFile(join(asideTree(dir, plan, runTag(holder)), 'code/a'), 'utf8'), 'written since');
    await guard.ensureUp('recover', { epoch: second.epoch, withinMs: 60_000 }, ctx);
    assert.equal(await readFile(join(root, 'code/a'), 'utf8'), 'written since', 'and that one has its own way back');
  });
});

test('with writes open nothing is on the undo list; a decision exchanges the two, with a way back of its own', async () => {
  const { ctx, dir, root, plan, deps, base } = await site();
  const before = look(root);
  await watched(deps.state, async () => {
    const guard = openSite(deps.state, 'app');
    await guard.hold(holder);
    sql(join(root, 'data/app.db'), 'PRAGMA wal_checkpoint(TRUNCATE)');
    const capture = { ...base, captureId: CAPTURE };
    const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    await env().run(dump(deps), { ...capture, epoch });
    await env().run(shelter(deps), { ...capture, epoch, undo: false });
    assert.deepEqual((await guard.read()).undo, []);
    await guard.ensureUp('finish', { epoch, withinMs: 60_000 }, ctx);
    await update(root);
    const section = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    for (const attempt of [1, 2])
      await env(attempt).run(turn(deps), { ...base, epoch: section.epoch, to: 'before' as const });
    assert.deepEqual(look(root), before);
    assert.equal(sql(join(root, 'data/app.db'), 'SELECT x FROM t'), 'old');
    const made = rolledBackTree(dir, plan, runTag(holder));
    assert.equal(await readFile(join(made, 'added.php'), 'utf8'), 'new');
    await guard.ensureUp('recover', { epoch: section.epoch, withinMs: 60_000 }, ctx);
    assert.equal(await readFile(join(root, 'added.php'), 'utf8'), 'new', 'taken back by whoever recovers');
  });
});

test('an operation runs once: a repeat answers with how it ended, or that nobody knows', async () => {
  const diary = join(await mkdtemp(join(tmpdir(), 'holdfast-diary-')), 'diary');
  const run = (script: string, timeoutMs = 60_000) => ({ run: { argv: ['sh', '-c', script], timeoutMs } });
  const ask = async (operation: object, changeIds: string[]): Promise<Operated[]> => {
    const { deps, base } = await site(operation);
    const said: Operated[] = [];
    for (const [i, changeId] of changeIds.entries())
      said.push((await env(i + 1).run(operate(deps), { ...base, changeId })) as Operated);
    return said;
  };
  const done = await ask(run(`echo run >>${diary}`), ['one', 'one', 'two']);
  assert.deepEqual(
    done.map(({ verdict }) => verdict),
    ['done', 'done', 'done'],
  );
  assert.equal(await readFile(diary, 'utf8'), 'run\nrun\n');
  const [failed] = await ask(run('exit 3'), ['one']);
  assert.deepEqual([failed?.verdict, failed?.said], ['failed', 'update ended with exit code 3']);
  const [late, again] = await ask(run(`echo late >>${diary}; exec sleep 60`, 300), ['one', 'one']);
  assert.deepEqual([late?.verdict, again?.verdict], ['unknown', 'unknown']);
  // A worker that died in the middle has left its mark, and nothing else.
  const { deps, base } = await site(run(`echo again >>${diary}`));
  const journal = join(deps.state.captures('app'), 'gone.journal');
  await mkdir(journal, { recursive: true });
  await writeFile(join(journal, 'operation-began.json'), JSON.stringify({ result: `${RUN} 1` }));
  const gone = (await env(1).run(operate(deps), { ...base, changeId: 'gone' })) as Operated;
  assert.equal(gone.verdict, 'unknown');
  assert.doesNotMatch(await readFile(diary, 'utf8'), /again/);
});

test('a check fails only where it says no three times; what cannot look is unclear, and one success is enough', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-check-'));
  const ask = async (script: string): Promise<Examined> => {
    const { deps, base } = await site({ check: { command: { argv: ['sh', '-c', script] } } });
    return (await env().run(examine(deps), base)) as Examined;
  };
  const second = `[ -e ${dir}/asked ] || { touch ${dir}/asked; exit 1; }`;
  const mixed = `[ -e ${dir}/mixed ] || { touch ${dir}/mixed; exit 75; }; exit 1`;
  const answers = await Promise.all(['exit 2', 'exit 75', 'kill -9 $$', '/nonexistent', second, mixed].map(ask));
  assert.deepEqual(
    answers.map(({ verdict }) => verdict),
    ['failed', 'unclear', 'unclear', 'unclear', 'passed', 'unclear'],
  );
  assert.match(answers[0]?.said ?? '', /exit code 2, 3 times/);
});

test('what a person has dropped meanwhile cannot be kept: nothing of what runs moves', async () => {
  const { ctx, dir, root, plan, deps, base } = await site();
  await watched(deps.state, async () => {
    const guard = openSite(deps.state, 'app');
    await guard.hold(holder);
    const first = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const capture = { ...base, captureId: CAPTURE, epoch: first.epoch };
    await env().run(dump(deps), capture);
    await env().run(shelter(deps), { ...capture, undo: true });
    await update(root);
    await guard.ensureUp('recover', { epoch: first.epoch, withinMs: 60_000 }, ctx);
    const before = look(root);
    await dropAside(deps.state, 'app', rolledBackTree(dir, plan, runTag(holder)), ctx);
    const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    await assert.rejects(env().run(turn(deps), { ...base, epoch, to: 'after' as const }), /not kept any more/);
    assert.deepEqual(look(root), before);
  });
});

test('what the operation does not touch stays where it is, a log that its database has got since and new files of a set too', async () => {
  const { ctx, root, plan, deps, base } = await site({ touches: ['files'] });
  await watched(deps.state, async () => {
    const guard = openSite(deps.state, 'app');
    await guard.hold(holder);
    const capture = { ...base, captureId: CAPTURE };
    for (const held of [true, false]) {
      for (const name of ['data/app.db-wal', 'late.conf']) await rm(join(root, name), { force: true });
      const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
      await env().run(dump(deps), { ...capture, captureId: `${CAPTURE.slice(1)}${held}`, epoch });
      await env().run(shelter(deps), { ...capture, captureId: `${CAPTURE.slice(1)}${held}`, epoch, undo: held });
      if (!held) await guard.ensureUp('finish', { epoch, withinMs: 60_000 }, ctx);
      for (const name of ['data/app.db-wal', 'late.conf', 'data/added']) await writeFile(join(root, name), 'since');
      if (held) await guard.ensureUp('recover', { epoch, withinMs: 60_000 }, ctx);
      else {
        const section = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
        await env().run(turn(deps), { ...base, epoch: section.epoch, to: 'before' as const });
      }
      for (const name of ['data/app.db-wal', 'late.conf'])
        assert.ok(existsSync(join(root, name)), `${name}, writes ${held ? 'held' : 'open'}`);
      assert.ok(!existsSync(join(root, 'data/added')));
    }
  });
});

test('a run that was reset never takes an operation of its earlier self for done', async () => {
  const diary = join(await mkdtemp(join(tmpdir(), 'holdfast-diary-')), 'diary');
  const { deps, base } = await site({ run: { argv: ['sh', '-c', `echo run >>${diary}`], timeoutMs: 60_000 } });
  const first = (await env().run(operate(deps), { ...base, changeId: 'one' })) as Operated;
  const again = new MockActivityEnvironment({
    workflowExecution: { workflowId: 'change', runId: RUN.replace('0', '9') },
    workflowType: 'guardedChange',
  });
  const reset = (await again.run(operate(deps), { ...base, changeId: 'one' })) as Operated;
  assert.deepEqual([first.verdict, reset.verdict, reset.before], ['done', 'unknown', true]);
  assert.equal(await readFile(diary, 'utf8'), 'run\n');
});

test('whoever is asked has a week from then on; a repeat of the question takes nothing from the run that has the site by then', async () => {
  const here = await site();
  const { ctx, dir, root, plan, deps, base } = here;
  await watched(deps.state, async () => {
    const { guard, epoch } = await sheltered(here, true);
    await guard.ensureUp('recover', { epoch, withinMs: 60_000 }, ctx);
    const made = rolledBackTree(dir, plan, runTag(holder));
    await noteAside(deps.state, 'app', { path: made, at: '2026-01-01T00:00:00.000Z', snapshot: 'x' });
    const staging = stagingOf(deps.state, 'app');
    const question = { ...base, said: 'why', running: 'before' as const };
    await env().run(ask(deps), question);
    assert.ok(!existsSync(staging));
    assert.equal((await guard.read()).phase, 'idle');
    assert.notEqual((await readAsides(deps.state, 'app'))[0]?.at, '2026-01-01T00:00:00.000Z');
    await guard.hold({ ...holder, workflowId: 'backup', firstRunId: 'another' });
    await mkdir(staging);
    await env(2).run(ask(deps), question);
    assert.ok(existsSync(staging));
    // What is newer cannot be seen where the way back is gone: people are asked all the same.
    await rm(besideTree(dir, plan, runTag(holder)), { recursive: true });
    const asked = (await env(3).run(ask(deps), { ...question, running: 'after' as const })) as Asked;
    assert.deepEqual([asked.changes, asked.notes.length], [[], 1]);
    assert.ok(existsSync(root));
  });
});

/** A database that only programs reach: one file, dumped and loaded whole. */
async function served() {
  const file = join(await mkdtemp(join(tmpdir(), 'holdfast-served-')), 'rows');
  await writeFile(file, 'old');
  const dump = { argv: ['cat', file] };
  const load = { argv: ['sh', '-c', `cat >${file}.new && mv ${file}.new ${file}`] };
  return { file, rows: () => readFile(file, 'utf8'), lines: { kind: 'command', name: 'ledger', dump, load } };
}

test('a database in a server comes back with the files, whoever recovers; what the operation left there is kept and not put back by itself', async () => {
  const { rows, file, lines } = await served();
  const here = await site({}, [lines]);
  const { ctx, plan, deps, base } = here;
  await watched(deps.state, async () => {
    const { guard, epoch } = await sheltered(here, true);
    assert.equal(await rows(), 'old', 'nothing is exchanged as long as nothing went wrong');
    await writeFile(file, 'new');
    await guard.ensureUp('recover', { epoch, withinMs: 60_000 }, ctx);
    assert.equal(await rows(), 'old');
    const [aside] = await readAsides(deps.state, 'app');
    assert.equal(aside?.databases?.length, 1);
    const kept = join(deps.state.work, 'cache/exchanges');
    const before = readdirSync(kept, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('before.out'));
    assert.equal(await readFile(join(kept, before ?? ''), 'utf8'), 'new');
    const asked = (await env().run(ask(deps), { ...base, said: 'why', running: 'before' as const })) as Asked;
    assert.match(asked.lost ?? '', /what it left in ledger is kept in the server for 7 days/);
    await guard.hold(holder);
    const second = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const keep = env().run(turn(deps), { ...base, epoch: second.epoch, to: 'after' as const });
    await assert.rejects(keep, /put back by hand/);
    assert.equal(await rows(), 'old');
  });
});

test('with writes open a decision brings a database in a server back, and whoever recovers that takes it back', async () => {
  const { rows, file, lines } = await served();
  const here = await site({}, [lines]);
  const { ctx, plan, deps, base } = here;
  await watched(deps.state, async () => {
    const { guard, epoch } = await sheltered(here, false);
    await guard.ensureUp('finish', { epoch, withinMs: 60_000 }, ctx);
    await writeFile(file, 'new, and written since');
    const asked = (await env().run(ask(deps), { ...base, said: 'why', running: 'after' as const })) as Asked;
    assert.equal(asked.lost, undefined);
    await guard.hold(holder);
    const section = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const back = { ...base, epoch: section.epoch, to: 'before' as const };
    for (const attempt of [1, 2]) await env(attempt).run(turn(deps), back);
    assert.equal(await rows(), 'old');
    await guard.ensureUp('recover', { epoch: section.epoch, withinMs: 60_000 }, ctx);
    assert.equal(await rows(), 'new, and written since');
  });
});

test('a frozen attempt at the shelter that wakes leaves the one in place alone, and another section makes its own', async () => {
  const { ctx, dir, root, plan, deps, base } = await site();
  const tree = besideTree(dir, plan, runTag(holder));
  await watched(deps.state, async () => {
    const guard = openSite(deps.state, 'app');
    await guard.hold(holder);
    const { epoch } = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const capture = { ...base, captureId: CAPTURE, epoch, undo: false };
    await env().run(dump(deps), capture);
    // Both were told to make it: neither has seen the other's.
    await Promise.allSettled([env(1).run(shelter(deps), capture), env(2).run(shelter(deps), capture)]);
    await env(3).run(shelter(deps), capture);
    const mark = join(tree, 'mark');
    await writeFile(mark, 'the way back of an operation that has begun');
    await env(4).run(shelter(deps), capture);
    assert.ok(existsSync(mark), 'a repeat does not make it anew');
    await guard.ensureUp('recover', { epoch, withinMs: 60_000 }, ctx);
    await assert.rejects(env(5).run(shelter(deps), capture), /is over/);
    await writeFile(join(root, 'code/a'), 'later');
    const next = await guard.arm(holder, { services: plan.services, capMs: 60_000 }, ctx);
    const again = { ...capture, captureId: CAPTURE.replace('1', '2'), epoch: next.epoch };
    await env().run(dump(deps), again);
    await env().run(shelter(deps), again);
    assert.ok(!existsSync(mark));
    assert.equal(await readFile(join(tree, 'site/code/a'), 'utf8'), 'later');
  });
});
