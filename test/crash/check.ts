import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from '../../src/core/report.js';
import {
  type BareSnapshot,
  bareRestore,
  bareSnapshots,
  leftovers,
  locks,
  reports,
  strays,
} from '../support/lab-look.js';
import { runPlain } from '../support/lab-runs.js';
import { fingerprints } from '../support/lab-site.js';
import { eventually } from '../support/toy.js';
import { type Arena, LIMITS_MS, within } from './arena.js';
import type { Case } from './cases.js';
import { phase } from './moments.js';
import { checkRestored, type Wreck } from './restored.js';

/** What is known of a case once its run has ended. */
interface Ended {
  report: Report | undefined;
  /** Ids of the snapshots that were there before. */
  before: ReadonlySet<string>;
  wrecked: Wreck | undefined;
  /** How long the blow and the way back from it took. */
  awayMs: number;
}

/** How long a run's first step waits for a worker: then it has ended before anything was stopped. */
const FIRST_STEP_MS = 10_000;

/** Looks at the world after a case, and not at what a run says of itself; throws where it is not as it must be. */
export async function check(arena: Arena, one: Case, { report, before, wrecked, awayMs }: Ended): Promise<void> {
  const { lab } = arena;
  // Nobody was there to write a report either.
  const nobody = awayMs > FIRST_STEP_MS && report?.failures[0]?.type === 'NoWorker';
  if (nobody) assert.deepEqual([report.outcome, report.steps], ['failed', []]);
  // A restore that is reset does not go on half-way: it says so, and the state from before is there.
  else if (wrecked && one.blow === 'reset' && report?.outcome === 'failed')
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
    const allowed = { cancel: ['cancelled', 'completed'], broken: ['failed', 'completed'] }[one.blow as string] ?? [
      'completed',
    ];
    if (one.blow === 'broken' && report.outcome === 'failed')
      assert.ok(
        report.failures.some(({ type }) => type === 'ApplicationDown'),
        report.said,
      );
    assert.ok(allowed.includes(report.outcome), `${report.outcome}: ${report.said} ${JSON.stringify(report.failures)}`);
  }
  // A stop that was on its way when its run was terminated has taken effect only after the first look.
  const settled = () => !['stopped', 'revoked'].includes(phase(lab));
  await eventually('the section is settled', LIMITS_MS[one.blow] + 3 * arena.ownStartMs + 5_000, settled);
  await lab.site.healthy(20_000);
  if (wrecked) await checkRestored(lab, arena.media, wrecked, report?.outcome === 'completed');
  if (['terminate', 'forgotten', 'cancel'].includes(one.blow)) {
    const input = { site: 'cms', repositories: [one.repository] };
    const next = await within('the next run', runPlain(lab, 'backup', input));
    assert.equal(next.outcome, 'completed', `the next run: ${next.said}`);
  }
  await eventually('nothing of ours runs', 60_000, () => strays(lab).length === 0).catch((error: Error) => {
    throw new Error(`${error.message}: ${strays(lab)}`);
  });
  await noLockThatBlocks(arena);
  const left = await leftovers(lab);
  // What a terminated restore has fetched stays for some days, and is noted.
  const noted =
    ['terminate', 'forgotten'].includes(one.blow) && one.workflow !== 'backup'
      ? readFileSync(join(lab.state, 'sites/cms/trees.json'), 'utf8')
      : '';
  // An attempt that was cut off lies beside its tree's own name, and goes with it.
  assert.deepEqual(
    left.filter((path) => !noted.includes(path.replace(/-\d+$/, ''))),
    [],
  );
  await Promise.all(left.map((path) => rm(path, { recursive: true })));
  if (report && !nobody) {
    const written = reports(lab).filter(({ workflowId }) => workflowId === report.workflowId);
    assert.equal(written.length, 1, `${written.length} final reports`);
    const told = arena.told.of(report.workflowId);
    // Between the call and the note of it nobody can know whether people were told: who repeats the step tells them again.
    const most = one.blow === 'reset' || (await attemptsOf(arena, report.workflowId, 'finish')) > 1 ? 2 : 1;
    assert.ok(told.length >= 1 && told.length <= most, `told ${told.length} times: ${told}`);
  }
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

/** How often a step was begun, as the server's history has it. */
async function attemptsOf({ lab }: Arena, workflowId: string, step: string): Promise<number> {
  const { events } = await lab.client.workflow.getHandle(workflowId).fetchHistory();
  const ids = (events ?? [])
    .filter(({ activityTaskScheduledEventAttributes: asked }) => asked?.activityType?.name === step)
    .map(({ eventId }) => String(eventId));
  const begun = (events ?? []).map(({ activityTaskStartedEventAttributes: started }) =>
    ids.includes(String(started?.scheduledEventId)) ? (started?.attempt ?? 1) : 0,
  );
  return Math.max(0, ...begun);
}

/** What a killed restic has left behind is there until the next run that needs the repository for itself; that one must get it. */
async function noLockThatBlocks({ lab }: Arena): Promise<void> {
  const found = await locks(lab);
  if (found.length > 0 && found.every((lock) => lock.startsWith('restic lock'))) {
    const next = await within('the next run', runPlain(lab, 'backup', { site: 'cms', repositories: ['nas'] }));
    assert.equal(next.outcome, 'completed', `the next run, after ${found}: ${next.said}`);
  }
  // The watchdog holds the record's for a moment, again and again.
  let held = found;
  await eventually('no lock is held', 30_000, async () => {
    held = await locks(lab);
    return held.length === 0;
  }).catch(() => {});
  assert.deepEqual(held, []);
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
