import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { type AppName, openAppLab } from '../support/app-lab.js';
import { type Bare, leftOnDisk, leftRunning, notedBy, restoreBare, snapshotsOf, tidy } from '../support/app-look.js';
import { reports } from '../support/lab-look.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { eventually } from '../support/toy.js';
import { type AppArena, recoverApp, strikeApp } from './app-blows.js';
import { type AppCase, nameOfApp } from './app-cases.js';
import type { Blow, Case } from './cases.js';
import { moment, phase } from './moments.js';
import type { Played } from './play.js';

/** A section that nobody sees die is over after its deadline; the rest is what a busy machine takes. */
const LIMIT_MS = 120_000;
/** The time that a stop command has, and a bit. */
const LATE_STOP_MS = 65_000;
/** The longest wait is that of a store for its heartbeat's end, twice. */
const RUN_LIMIT_MS = 300_000;

/** An application in a lab, with one snapshot in each repository; the reason where there can be none. */
export async function openAppArena(name: AppName, built: string, ownServer = false): Promise<AppArena | string> {
  const opened = await openAppLab(name, built, ownServer);
  if (typeof opened === 'string') return opened;
  const { lab, app } = opened;
  lab.site = { ...lab.site, root: app.root, start: app.start, stop: app.stop, up: app.up, pid: () => app.pids()[0] };
  const end = async () => {
    await app.stop().catch(() => {});
    // Before its watchdog, which it would start again.
    const worker = lab.worker();
    if (worker?.kill('SIGTERM') && worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
    await lab.end();
    await app.end?.();
  };
  try {
    await lab.configure((config) => {
      config.restore.approval = 'required';
      config.sites.cms.keep = { last: 3 };
    });
    const boot = { ...app.workerEnv };
    await app.start();
    await lab.startWatchdog(boot);
    await lab.startWorker(boot);
    const arena: AppArena = { ...opened, boot, generation: 0, states: new Map(), struckAt: -LATE_STOP_MS, end };
    await backUp(arena);
    return arena;
  } catch (error) {
    await end();
    throw error;
  }
}

/** Another generation, and a backup of it to every repository that completes. */
async function backUp(arena: AppArena, repository?: string): Promise<void> {
  await arena.app.change(++arena.generation);
  const now = await arena.app.look();
  const input = { site: 'cms', ...(repository ? { repositories: [repository] } : {}) };
  const report = await within('the next backup', runPlain(arena.lab, 'backup', input));
  assert.equal(report.outcome, 'completed', `the next run: ${report.said} ${JSON.stringify(report.failures)}`);
  arena.states.set(report.captureId ?? '', now);
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = sleep(RUN_LIMIT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`not over within ${RUN_LIMIT_MS} ms: ${what}`);
  });
  late.catch(() => {});
  return Promise.race([promise, late]).finally(() => timer.abort());
}

/** Plays one case and looks at the world after it; throws where it is not as it must be. */
export async function playApp(arena: AppArena, one: AppCase): Promise<Played> {
  const { lab, app } = arena;
  const repository = app.repositories[one.repository % app.repositories.length] as string;
  const part = one.part && one.workflow === 'restore' ? app.part : undefined;
  const known = new Set((await snapshotsOf(arena)).map(({ id }) => id));
  await app.change(++arena.generation);
  if (one.stopped) {
    // So long the watchdog takes a stop for the late one of a section that was ended.
    await sleep(Math.max(0, LATE_STOP_MS - (performance.now() - arena.struckAt)));
    await app.stop();
  }
  const wasUp = !one.stopped;
  const before = await app.look();
  const input =
    one.workflow === 'backup'
      ? { site: 'cms', repositories: [repository] }
      : { site: 'cms', repository, ...(part ? { only: part.only } : {}) };
  const handle = await startPlain(lab, one.workflow, input);
  const approved = one.workflow === 'restore' ? approveOnce(handle) : undefined;
  const struck = await moment(lab, handle, one as unknown as Case);
  const down = app.service && ['stopped', 'revoked'].includes(phase(lab));
  const at = performance.now();
  await strikeApp(arena, one.blow, handle);
  const back = () => (wasUp ? app.up() : true);
  const healthy = eventually(`the application is up after ${one.blow}`, LIMIT_MS, back);
  const [, healthyMs] = await Promise.all([
    recoverApp(arena, one.blow, wasUp),
    healthy.then(() => performance.now() - at),
  ]);
  arena.struckAt = performance.now();
  await approved;
  const ended = await within(
    'the run',
    reportOf(lab.client.workflow.getHandle(handle.workflowId)).catch((error: Error) => error),
  );
  const report = one.blow === 'terminate' ? undefined : ended;
  if (report instanceof Error) throw report;
  await checkWorld(arena, one, report, { before, known, wasUp, repository, part: part?.lines });
  return {
    name: nameOfApp(one),
    struck,
    outcome: report?.outcome ?? 'terminated',
    ...(report?.sections === undefined ? {} : { sections: report.sections }),
    ...(down ? { healthyMs } : {}),
  };
}

/** A fetch whose worker dies takes half a minute more. A run that is struck may never ask. */
async function approveOnce(handle: WorkflowHandle): Promise<void> {
  for (let left = 3; left > 0; left--) {
    const said = await approve(handle).catch((error: Error) => error.message);
    if (!said.includes('not within')) return;
  }
}

interface Before {
  before: string[];
  known: ReadonlySet<string>;
  wasUp: boolean;
  repository: string;
  part: string | undefined;
}

async function checkWorld(arena: AppArena, one: AppCase, report: Report | undefined, was: Before): Promise<void> {
  const { lab, app } = arena;
  if (report) mayEndSo(one, report);
  await eventually('the section is settled', LIMIT_MS, () => !['stopped', 'revoked'].includes(phase(lab)));
  await eventually(`it is ${was.wasUp ? 'up' : 'stopped'}`, 20_000, was.wasUp ? app.up : app.down);
  const now = await app.look();
  mustBeOneState(arena, one, report, was, now);
  const fresh = (await snapshotsOf(arena)).filter(({ id }) => !was.known.has(id));
  for (const snapshot of fresh) await mustBeWhole(arena, snapshot, [was.before, now]);
  if (report?.outcome === 'completed' && one.workflow === 'backup')
    arena.states.set(report.captureId ?? '', was.before);
  if (!was.wasUp) await app.start();
  // What a run that was ended left for the next one, the next one clears.
  if (report?.outcome !== 'completed') await backUp(arena, was.repository);
  await mustBeClean(arena, one);
  const told = reports(lab).filter(({ workflowId }) => workflowId === report?.workflowId);
  if (report) assert.equal(told.length, 1, `${told.length} final reports`);
  const captures = (await snapshotsOf(arena)).map(({ repository, captureId }) => `${repository} ${captureId}`);
  assert.equal(new Set(captures).size, captures.length, `one capture was stored twice: ${captures}`);
}

/** A run that is struck goes on, but where it was told to end or where it says that it must not go on half-way. */
function mayEndSo({ blow, workflow }: AppCase, report: Report): void {
  const said = `${report.outcome}: ${report.said} ${JSON.stringify(report.failures)}`;
  const types = report.failures.map(({ type }) => type);
  const { outcome } = report;
  // What only a person can import is told, and is no failure of what was restored.
  const byHand = workflow === 'restore' && outcome === 'partial' && types.length === 0;
  if (outcome === 'completed' || byHand || (outcome === 'cancelled' && blow === 'cancel')) return;
  assert.equal(outcome, 'failed', said);
  assert.ok(types.length === 1 && mayFailAs(blow, workflow).includes(types[0] as string), said);
}

function mayFailAs(blow: Blow, workflow: AppCase['workflow']): string[] {
  // Nothing stops where nobody is there: on a busy machine a new worker takes longer than the first step waits.
  const nobody = ['worker', 'both', 'reboot', 'server'].includes(blow) ? ['NoWorker'] : [];
  // What was copied and is not on disk yet may be torn by a machine that breaks down: it is no backup, and the run says so.
  if (workflow === 'backup') return blow === 'reboot' ? ['SnapshotMissing', ...nobody] : nobody;
  return blow === 'reset' ? ['RestoreFailed'] : nobody;
}

/** Exactly what was there before, or exactly what a snapshot holds. */
function mustBeOneState(arena: AppArena, one: AppCase, report: Report | undefined, was: Before, now: string[]): void {
  const { before, part } = was;
  const partly = (state: string[]) =>
    part === undefined
      ? state
      : [...before.filter((line) => !line.startsWith(part)), ...state.filter((line) => line.startsWith(part))];
  const same = (state: string[] | undefined) => state !== undefined && sorted(partly(state)) === sorted(now);
  const done = one.workflow === 'restore' && ['completed', 'partial'].includes(report?.outcome ?? '');
  if (done) {
    const restored = arena.states.get(report?.captureId ?? '');
    assert.ok(restored, `a known capture was restored: ${report?.captureId}`);
    assert.deepEqual([...now].sort(), [...partly(restored)].sort(), 'exactly the restored state');
    return;
  }
  if (one.workflow === 'restore' && [...arena.states.values()].some(same)) return;
  assert.deepEqual([...now].sort(), [...before].sort(), 'exactly the state from before');
}

const sorted = (lines: string[]) => [...lines].sort().join('\n');

/** A snapshot that a report calls verified is one of these states, by its engine's own tool. */
async function mustBeWhole(arena: AppArena, snapshot: Bare, states: string[][]): Promise<void> {
  const own = reports(arena.lab).find(
    ({ captureId, workflow }) => captureId === snapshot.captureId && workflow === 'backup',
  );
  const entry = own?.repositories.find(({ repository }) => repository === snapshot.repository);
  if (entry?.level !== 'verified') return;
  const bare = (lines: string[]) =>
    lines
      .map(arena.app.bare ?? ((line) => line))
      .filter(Boolean)
      .sort();
  const found = bare(await restoreBare(arena, snapshot));
  const holds = states.some((state) => bare(state).join('\n') === found.join('\n'));
  if (!holds)
    assert.deepEqual(found, bare(states[0] ?? []), `snapshot ${snapshot.id} of ${snapshot.repository} is whole`);
}

async function mustBeClean(arena: AppArena, { blow, workflow }: AppCase): Promise<void> {
  const noted = notedBy(arena);
  // What a run that was terminated has fetched stays for some days, and is noted.
  const keeps = (path: string) =>
    blow === 'terminate' && workflow !== 'backup' && noted.includes(path.replace(/-\d+$/, ''));
  let left: string[] = [];
  await eventually('nothing of ours is left', 60_000, async () => {
    left = [...(await leftRunning(arena)), ...(await leftOnDisk(arena)).filter((path) => !keeps(path))];
    return left.length === 0;
  }).catch(() => assert.deepEqual(left, []));
  assert.deepEqual((await arena.app.left?.(noted)) ?? [], []);
  await tidy(arena);
  for (const path of await leftOnDisk(arena)) await rm(path, { recursive: true, force: true });
}
