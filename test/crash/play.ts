import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import {
  type BareSnapshot,
  bareRestore,
  bareSnapshots,
  leftovers,
  locks,
  reports,
  strays,
} from '../support/lab-look.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import { fingerprints } from '../support/lab-site.js';
import { eventually } from '../support/toy.js';
import { type Machine, recover, strike } from './blows.js';
import { type Blow, type Case, nameOf } from './cases.js';
import { moment, phase } from './moments.js';
import { checkRestored, type Wreck, wreck } from './restored.js';

/** One matrix at work: a lab whose site is written to all the time. */
export interface Arena extends Machine {
  /** What the application takes to start, measured. */
  ownStartMs: number;
  media: string[];
  end: () => Promise<void>;
}

export interface Played {
  name: string;
  /** Which step was pending when it struck; undefined where the run had ended before. */
  struck: string | undefined;
  /** From the blow to the application's answer, where it was down. */
  healthyMs?: number;
  outcome: string;
  sections?: number;
}

/**
 * Beside the application's own start: 2 s after a death, 60 s after a hang; processes that we start anew take their time.
 * A run that is terminated between two steps, or just before a step ends, tells nobody: that is a hang.
 */
const LIMITS_MS: Record<Blow, number> = {
  worker: 2_000,
  tool: 2_000,
  both: 10_000,
  reboot: 10_000,
  cancel: 10_000,
  terminate: 62_000,
  reset: 62_000,
  freeze: 62_000,
  server: 62_000,
  away: 62_000,
  starter: 2_000,
};

export async function openArena(built: string, ownServer = false): Promise<Arena | string> {
  const lab = await createLab({
    built,
    ownServer,
    videos: 2,
    mb: 1,
    configure: (config) => {
      config.sites.cms.keep = { last: 3 };
      config.restore.approval = 'required';
    },
  });
  if (typeof lab === 'string') return lab;
  await lab.site.start();
  await lab.site.healthy();
  await lab.site.stop();
  const began = performance.now();
  await lab.site.start();
  await lab.site.healthy();
  const ownStartMs = performance.now() - began;
  await lab.startWatchdog();
  await lab.startWorker();
  const writer = lab.site.writer();
  const media = await fingerprints(lab.site.media);
  const first = await runPlain(lab, 'backup', { site: 'cms' });
  assert.equal(first.outcome, 'completed', first.said);
  const end = async () => {
    await writer.end();
    await lab.end();
  };
  return { lab, boot: {}, ownStartMs, media, end };
}

/** Plays one case and looks at the world after it; throws where it is not as it must be. */
export async function play(arena: Arena, one: Case): Promise<Played> {
  const { lab } = arena;
  const before = new Set((await bareSnapshots(lab)).map(({ id }) => id));
  const input =
    one.workflow === 'backup'
      ? { site: 'cms', repositories: [one.repository] }
      : { site: 'cms', repository: one.repository };
  const wrecked = one.workflow === 'restore' ? await wreck(lab) : undefined;
  const handle = await startPlain(lab, one.workflow, input);
  // A run that is struck while it waits for nobody must not keep the case waiting for its question.
  const approved = one.workflow === 'restore' ? approve(handle).catch((error: Error) => error.message) : undefined;
  const struck = await moment(lab, handle, one);
  const down = ['stopped', 'revoked'].includes(phase(lab));
  const at = performance.now();
  await strike(arena, one.blow, handle);
  // Both go on at once, as they would: a supervisor does not wait for the application.
  const [healthyMs] = await Promise.all([healthy(arena, one.blow, at), recover(arena, one.blow)]);
  await approved;
  const report = await ended(lab, handle.workflowId, one.blow);
  await check(arena, one, report, before, wrecked);
  return {
    name: nameOf(one),
    struck,
    outcome: report?.outcome ?? 'terminated',
    ...(report?.sections === undefined ? {} : { sections: report.sections }),
    ...(down ? { healthyMs } : {}),
  };
}

async function healthy({ lab, ownStartMs }: Arena, blow: Blow, at: number): Promise<number> {
  const limit = LIMITS_MS[blow] + 3 * ownStartMs;
  // A section that goes on (or is repeated) may stop it again: what counts is that it has answered within the limit.
  await eventually(`the application is up after ${blow}`, limit, () => lab.site.up());
  return performance.now() - at;
}

async function ended(lab: Lab, workflowId: string, blow: Blow): Promise<Report | undefined> {
  // Without its run id: a reset goes on as another one.
  const handle = lab.client.workflow.getHandle(workflowId);
  const report = await reportOf(handle).catch((error: Error) => error);
  if (blow === 'terminate') return undefined;
  if (report instanceof Error) throw report;
  return report;
}

async function check(
  arena: Arena,
  one: Case,
  report: Report | undefined,
  before: ReadonlySet<string>,
  wrecked: Wreck | undefined,
): Promise<void> {
  const { lab } = arena;
  // A restore that is reset does not go on half-way: it says so, and the state from before is there.
  if (wrecked && one.blow === 'reset' && report?.outcome === 'failed')
    assert.deepEqual(
      report.failures.map(({ type }) => type),
      ['RestoreFailed'],
    );
  // What was copied and is not on disk yet may be torn by a machine that breaks down: it is no backup, and the run says so.
  else if (one.blow === 'reboot' && one.workflow === 'backup' && report?.outcome === 'failed')
    assert.deepEqual(
      report.failures.map(({ type }) => type),
      ['SnapshotMissing'],
    );
  else if (report) {
    const allowed = { cancel: ['cancelled', 'completed'], terminate: [] }[one.blow as string] ?? ['completed'];
    assert.ok(allowed.includes(report.outcome), `${report.outcome}: ${report.said} ${JSON.stringify(report.failures)}`);
  }
  // A stop that was on its way when its run was terminated has taken effect only after the first look.
  const settled = () => !['stopped', 'revoked'].includes(phase(lab));
  await eventually('the section is settled', LIMITS_MS[one.blow] + 3 * arena.ownStartMs + 5_000, settled);
  await lab.site.healthy(5_000);
  if (wrecked) await checkRestored(lab, arena.media, wrecked, report?.outcome === 'completed');
  if (one.blow === 'terminate' || one.blow === 'cancel') {
    const next = await runPlain(lab, 'backup', { site: 'cms', repositories: [one.repository] });
    assert.equal(next.outcome, 'completed', `the next run: ${next.said}`);
  }
  await eventually('nothing of ours runs', 5_000, () => strays(lab).length === 0).catch((error: Error) => {
    throw new Error(`${error.message}: ${strays(lab)}`);
  });
  assert.deepEqual(await locks(lab), []);
  const left = await leftovers(lab);
  // What a terminated restore has fetched stays for some days, and is noted.
  const noted =
    one.blow === 'terminate' && one.workflow !== 'backup'
      ? readFileSync(join(lab.state, 'sites/cms/trees.json'), 'utf8')
      : '';
  assert.deepEqual(
    left.filter((path) => !noted.includes(path)),
    [],
  );
  await Promise.all(left.map((path) => rm(path, { recursive: true })));
  const told = reports(lab).filter(({ workflowId }) => workflowId === report?.workflowId);
  if (report) assert.equal(told.length, 1, `${told.length} final reports`);
  const all = await bareSnapshots(lab);
  const captures = all.map(({ repository, captureId }) => `${repository} ${captureId}`);
  assert.equal(new Set(captures).size, captures.length, `one capture was stored twice: ${captures}`);
  for (const snapshot of all) if (!before.has(snapshot.id)) await whole(arena, snapshot);
  assert.deepEqual(await fingerprints(lab.site.media), arena.media);
  // In this order: a row of in between is no lost one.
  const acknowledged = [...lab.site.acknowledged.keys()];
  const live = new Set(await lab.site.rows());
  const lost = acknowledged.filter((id) => !live.has(id));
  assert.deepEqual(lost, [], 'acknowledged rows');
}

/** A snapshot that a report calls verified is a prefix of the write log, with every row acknowledged before its capture. */
async function whole({ lab, media }: Arena, snapshot: BareSnapshot): Promise<void> {
  const own = reports(lab).find(({ captureId }) => captureId === snapshot.captureId);
  const entry = own?.repositories.find(({ repository }) => repository === snapshot.repository);
  if (own?.workflow !== 'backup' || entry?.level !== 'verified') return;
  const { rows, media: stored } = await bareRestore(lab, snapshot);
  assert.deepEqual(stored, media);
  assert.deepEqual(
    rows,
    rows.map((_, n) => n + 1),
    'a prefix of the write log',
  );
  const taken = Date.parse(own.capturedAt ?? '');
  const earlier = [...lab.site.acknowledged].filter(([, at]) => at < taken).map(([id]) => id);
  assert.ok(Math.max(0, ...earlier) <= rows.length, 'every row acknowledged before the capture');
}

/** p50 and p95 of what the application was down after a blow, and what came of the runs. */
export function summary(played: readonly Played[]): string {
  const times = played.flatMap(({ healthyMs }) => healthyMs ?? []).sort((a, b) => a - b);
  const at = (p: number) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * p))] ?? 0);
  const outcomes = new Map<string, number>();
  for (const { outcome } of played) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const hit = played.filter(({ struck }) => struck !== undefined).length;
  return `${played.length} cases, ${hit} in the step they were meant for; down ${times.length} times, healthy after p50 ${at(0.5)} ms, p95 ${at(0.95)} ms; ${[...outcomes].map(([name, n]) => `${n} ${name}`).join(', ')}`;
}
