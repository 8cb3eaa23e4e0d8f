import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { services } from '../../activities/services/index.js';
import { bootClock } from '../../activities/site/marks.js';
import { updateRecord } from '../../activities/site/record.js';
import { openSite } from '../../activities/site/site.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import { runWatchdog } from '../../worker/watchdog.js';
import { createSiteWatch, type WatchdogEvent } from '../../worker/watchdog-site.js';
import { testContext } from '../support/context.js';
import { holderOf } from '../support/holder.js';
import { slowness } from '../support/slowness.js';
import { smallDisk } from '../support/small-disk.js';
import { createToy, eventually, lives, runModule, type Toy } from '../support/toy.js';

const WORKER = fileURLToPath(new URL('../support/section-worker.ts', import.meta.url));
/** Far beyond what a busy machine takes, and before the deadline of a section: a death that is not seen is not taken for one that is. */
const SOON_MS = 45_000;

async function scene(t: TestContext) {
  const ctx = await testContext({ step: 'test' });
  const toy = await createToy();
  // So long a late stop is looked out for: longer than this process may be kept waiting between two lines.
  toy.spec.stopTimeoutMs = 60_000;
  const controller = new AbortController();
  const watching = runWatchdog({ stateDir: ctx.state.root, signal: controller.signal });
  t.after(async () => {
    controller.abort();
    await watching;
    toy.end();
  });
  await eventually('the watchdog runs', SOON_MS, () => watchdogAlive(ctx.state));
  const up = async () => {
    await services.process.start(toy.spec, ['toy'], ctx);
    await eventually('the toy answers', SOON_MS, toy.answers);
  };
  const events = (): WatchdogEvent[] =>
    readFileSync(ctx.state.events, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  return { ctx, toy, up, events, record: () => openSite(ctx.state, 'cms').read(), controller, watching };
}

/** A worker process whose section has stopped the toy. */
async function worker(t: TestContext, dir: string, spec: ServiceSpec) {
  const child = runModule(WORKER, [dir, JSON.stringify(spec)]);
  t.after(() => void child.kill('SIGKILL'));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => (await lines.next()).value ?? 'ended';
  const said = await next();
  assert.match(said, /^stopped \d+$/);
  const ask = (line: string) => {
    child.stdin.write(`${line}\n`);
    return next();
  };
  return { child, ask, epoch: Number(said.split(' ')[1]) };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const startMs = async (toy: Toy): Promise<number> => {
  const began = performance.now();
  await eventually('the toy answers', SOON_MS, toy.answers);
  return performance.now() - began;
};

test('kill -9 of the worker while the application is stopped: it answers again within 2 s and its own start', async (t) => {
  const { ctx, toy, up, events, record } = await scene(t);
  const began = performance.now();
  await up();
  const own = performance.now() - began;
  const { child, ask, epoch } = await worker(t, ctx.state.root, toy.spec);
  assert.equal(toy.pid(), undefined);
  const stray = join(toy.dir, 'stray');
  assert.equal(await ask(`stray ${stray}`), 'done');
  const strayPid = Number(readFileSync(stray, 'utf8'));
  assert.ok(lives(strayPid));
  await kill(child);
  const took = await startMs(toy);
  const slower = took < 2000 + own ? 1 : await slowness();
  assert.ok(took < (2000 + own) * slower, `it took ${took} ms, its own start ${own} ms`);
  await eventually('the setsid child has ended', SOON_MS, () => !lives(strayPid));
  await eventually('the record says so', SOON_MS, async () => (await record()).phase === 'held');
  const { revokedFor, upAt, prior, epoch: now } = await record();
  assert.match(revokedFor ?? '', /worker \(pid \d+\) is gone/);
  assert.ok(upAt && now > epoch);
  assert.deepEqual(prior, { toy: ['toy'] }, 'kept while a late stop may still come');
  const told = () => events().flatMap(({ what }) => (what === 'strays' ? [] : [what]));
  // The record is written before the word.
  await eventually('the watchdog tells it', SOON_MS, () => told().length >= 3);
  assert.deepEqual(told(), ['started', 'revoked', 'up']);
});

test('a worker that is frozen past the deadline and thaws: its commit, its tools and its renewal are refused', async (t) => {
  const { ctx, toy, up } = await scene(t);
  await up();
  const { child, ask } = await worker(t, ctx.state.root, toy.spec);
  const [from, to, undone] = ['from', 'to', 'undone'].map((name) => join(toy.dir, name)) as [string, string, string];
  mkdirSync(from);
  assert.equal(await ask('renew'), 'done');
  const frozen = join(toy.dir, 'frozen');
  const tool = ask(`frozen ${frozen}`);
  await eventually(
    'a tool holds the lock, stopped',
    SOON_MS,
    () => existsSync(frozen) && /\) T/.test(readFileSync(`/proc/${readFileSync(frozen, 'utf8').trim()}/stat`, 'utf8')),
  );
  child.kill('SIGSTOP');
  // All that went before has had the time that it took; only now the deadline comes near.
  await updateRecord(ctx.state.site('cms'), 'cms', (now) => ({ ...now, deadline: bootClock() + 300 }));
  await startMs(toy);
  await eventually('the record is up', SOON_MS, async () => (await openSite(ctx.state, 'cms').read()).phase === 'held');
  child.kill('SIGCONT');
  assert.equal(await tool, 'ToolFailed', 'the tool was ended');
  assert.equal(await ask(`commit ${from} ${to}`), 'SectionRevoked');
  assert.equal(await ask(`fenced ${undone}`), 'SectionRevoked');
  assert.equal(await ask('renew'), 'SectionRevoked');
  assert.equal(await ask(`undo ${from} ${to}`), 'SectionRevoked');
  assert.ok(existsSync(from) && !existsSync(to) && !existsSync(undone));
  await startMs(toy);
});

test('the cap ends a section that is renewed all the time; undo is replayed before the start', async (t) => {
  const { ctx, toy, up } = await scene(t);
  await up();
  const guard = openSite(ctx.state, 'cms');
  const holder = holderOf('run-1');
  await guard.hold(holder);
  const { epoch, prior } = await guard.arm(holder, { services: [toy.spec], capMs: 60_000 }, ctx);
  assert.deepEqual(prior, { toy: ['toy'] });
  await services.process.stop(toy.spec, ['toy'], ctx);
  const [live, away] = [join(toy.dir, 'live'), join(toy.dir, 'away')];
  writeFileSync(away, 'the old state');
  await guard.addUndo(epoch, [{ kind: 'rename', from: live, to: away }], ctx);
  const renewal = setInterval(() => guard.renew(epoch, ctx).catch(() => {}), 100);
  t.after(() => clearInterval(renewal));
  await updateRecord(ctx.state.site('cms'), 'cms', (now) => {
    assert.ok(now.cap !== undefined && now.cap > bootClock() && now.cap <= bootClock() + 60_000);
    return { ...now, cap: bootClock() + 500 };
  });
  await startMs(toy);
  assert.equal(readFileSync(live, 'utf8'), 'the old state');
  await assert.rejects(
    guard.section(epoch, ctx),
    (error) => isFailure(error, 'SectionRevoked') && /limits.downtime/.test(error.message),
  );
});

test('an application that does not come up is tried again and again, and every attempt is told', async (t) => {
  const { ctx, toy, up, events } = await scene(t);
  const [broken, tried] = [join(toy.dir, 'broken'), join(toy.dir, 'tried')];
  const script = `[ -e ${broken} ] || exec "$@"; echo >${tried}`;
  const argv = ['sh', '-c', script, 'sh', ...toy.spec.start.argv];
  toy.spec.start = { ...toy.spec.start, argv };
  await up();
  const { child } = await worker(t, ctx.state.root, toy.spec);
  writeFileSync(broken, '');
  await kill(child);
  await eventually('it was tried', SOON_MS, () => existsSync(tried));
  assert.ok(events().some(({ what }) => what === 'revoked'));
  assert.ok(!(await toy.answers()));
  rmSync(broken);
  await startMs(toy);
});

test('a stop that takes effect only after the application was brought up is noticed', async (t) => {
  const { ctx, toy, up, events } = await scene(t);
  await up();
  const { child } = await worker(t, ctx.state.root, toy.spec);
  await kill(child);
  await startMs(toy);
  await eventually('the record is up', SOON_MS, async () => (await openSite(ctx.state, 'cms').read()).phase === 'held');
  await services.process.stop(toy.spec, ['toy'], ctx);
  await startMs(toy);
  assert.ok(events().some(({ what }) => what === 'restarted'));
  const lookUntil = (await openSite(ctx.state, 'cms').read()).lookUntil ?? 0;
  assert.ok(lookUntil > bootClock() && lookUntil <= bootClock() + toy.spec.stopTimeoutMs);
  await updateRecord(ctx.state.site('cms'), 'cms', (now) => ({ ...now, lookUntil: bootClock() }));
  await eventually(
    'the look-out ends',
    SOON_MS,
    async () => (await openSite(ctx.state, 'cms').read()).prior === undefined,
  );
});

test('the lock of a watchdog that was killed goes a moment after it, and its successor waits for that', async () => {
  const ctx = await testContext({ site: 'cms' });
  // Held by a process of its own: it goes after its time, however long this one is kept waiting.
  const lock = join(ctx.state.root, 'watchdog.lock');
  const holder = spawn('flock', ['-F', lock, 'sh', '-c', 'echo locked; exec sleep 0.7']);
  await once(holder.stdout, 'data');
  const end = new AbortController();
  const successor = runWatchdog({ stateDir: ctx.state.root, signal: end.signal });
  await eventually('the successor answers', SOON_MS, () => watchdogAlive(ctx.state)).finally(() => end.abort());
  await successor;
});

test('one watchdog for a state directory; an unreadable record is told and stops no other site', async (t) => {
  const { ctx, toy, up, events, controller, watching } = await scene(t);
  await assert.rejects(
    runWatchdog({ stateDir: ctx.state.root, signal: new AbortController().signal }),
    /another watchdog runs/,
  );
  writeFileSync(ctx.state.site('other').record, '{"schema":2}');
  await up();
  const { child } = await worker(t, ctx.state.root, toy.spec);
  await kill(child);
  await startMs(toy);
  assert.deepEqual(
    events()
      .filter(({ what }) => what === 'unreadable')
      .map(({ site }) => site),
    ['other'],
  );
  controller.abort();
  await watching;
  await updateRecord(ctx.state.site('cms'), 'cms', () => undefined);
});

test('a state directory that is read-only: up once, not again and again, and nothing over a state that would be taken away later', async (t) => {
  const mounted = smallDisk('64m');
  if (typeof mounted === 'string') return t.skip(mounted);
  const { dir, remount: disk } = mounted;
  const toy = await createToy();
  t.after(() => {
    toy.end();
    mounted.end();
  });
  const ctx = await testContext({ dir });
  const paths = ctx.state.site('cms');
  const guard = openSite(ctx.state, 'cms');
  await services.process.start(toy.spec, ['toy'], ctx);
  await guard.hold(holderOf('a'));
  const told: string[] = [];
  const watch = createSiteWatch(ctx.state, 'cms', ctx, async ({ what }) => void told.push(what));
  const acking = setInterval(() => void watch.tick(), 20);
  t.after(() => clearInterval(acking));
  const { epoch } = await guard.arm(holderOf('a'), { services: [toy.spec], capMs: 60_000 }, ctx);
  clearInterval(acking);
  await services.process.stop(toy.spec, ['toy'], ctx);
  await guard.addUndo(epoch, [{ kind: 'rename', from: join(dir, 'live'), to: join(dir, 'aside') }], ctx);
  disk('ro');
  await assert.rejects(guard.ensureUp('finish', { epoch, withinMs: SOON_MS }, ctx), { code: 'EROFS' });
  assert.ok(!(await toy.answers()));
  disk('rw');
  await updateRecord(paths, 'cms', (now) => ({ ...now, undo: [], deadline: bootClock() }));
  disk('ro');
  // Of a watchdog that was started anew: it cannot even say that it has seen the section.
  const next = createSiteWatch(ctx.state, 'cms', ctx, async ({ what }) => void told.push(what));
  for (let look = 0; look < 5; look++) {
    await assert.rejects(next.tick(), { code: 'EROFS' });
    await next.settled();
  }
  await startMs(toy);
  assert.deepEqual(told, ['revoked', 'up']);
  disk('rw');
});

const LOSSES: Record<string, (root: string) => void> = {
  lost: (root) => rmSync(join(root, 'sites'), { recursive: true }),
  'not to be read': (root) => {
    rmSync(join(root, 'sites/cms'), { recursive: true });
    symlinkSync('cms', join(root, 'sites/cms'));
  },
};
for (const [how, lose] of Object.entries(LOSSES))
  test(`a state directory that is ${how} while the application is stopped: what ran comes up by what was last known`, async (t) => {
    const { ctx, toy, up } = await scene(t);
    await up();
    await worker(t, ctx.state.root, toy.spec);
    assert.equal(toy.pid(), undefined);
    lose(ctx.state.root);
    await startMs(toy);
  });
