import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { FAILURES, type FailureType, isFailure } from '../../src/core/failures.js';
import type { Report, StepFailure } from '../../src/core/report.js';
import type { Lab } from '../support/lab.js';
import { bareSnapshots, leftovers, locks } from '../support/lab-look.js';
import { eventually } from '../support/toy.js';
import type { World } from './world.js';

/** One line of bad luck: it happens, the failure has a name and says what to do, nothing is lost, and the application is up. */
export interface BadLuck {
  line: string;
  /** Needs a disk of its own. */
  mounts?: boolean;
  /** Why it cannot happen on this machine. */
  skip?: string | false;
  happens: (world: World, t: TestContext) => Promise<void>;
}

/** Types that the product itself has raised in this run of the file. */
export const raised = new Set<FailureType>();

/** `<step> on <host>: <what happened>; <what to do>`, the first line of at most 400 characters (paths may be long), and no program's own words in it. */
const FORM = /^[\w ()-]+ on [\w.-]+: \S.*; \S.*$/;

export function judge(failure: Pick<StepFailure, 'type' | 'message'>, type: FailureType, told: RegExp): void {
  if (process.env.HOLDFAST_SHOW) console.log(`${failure.type}: ${failure.message}`);
  assert.equal(failure.type, type, failure.message);
  assert.ok(type in FAILURES, `${type} is in the catalogue`);
  const [first = ''] = failure.message.split('\n');
  assert.match(first, FORM);
  assert.ok(first.length <= 400, `${first.length} characters: ${first}`);
  assert.match(failure.message, told);
  raised.add(type);
}

/** A part, called without a run around it, fails as it should. */
export async function raises(type: FailureType, told: RegExp, call: Promise<unknown> | (() => unknown)): Promise<void> {
  const error = await (async () => (typeof call === 'function' ? call() : call))().then(
    () => assert.fail(`no ${type}`),
    (thrown: unknown) => thrown,
  );
  assert.ok(isFailure(error), String(error));
  judge({ type: error.type ?? '', message: error.message }, type, told);
}

export interface Expected {
  workflow?: string;
  input?: object;
  /** Of the step that failed. */
  step?: string;
  outcome?: Report['outcome'];
  own?: Parameters<World['run']>[2];
}

/**
 * Runs a workflow (a backup), which must end with this failure and leave the world as it was: the application up, each acknowledged
 * row in its database, every medium, no new snapshot and none lost, nothing half done, nothing locked.
 */
export async function fails(world: World, type: FailureType, told: RegExp, more: Expected = {}): Promise<Report> {
  const { workflow = 'backup', input, own, outcome = 'failed' } = more;
  await world.site.write();
  const before = await bareSnapshots(labOf(world));
  const report = await world.run(workflow, input, own);
  assert.equal(report.outcome, outcome, report.said);
  const [failure] = report.failures;
  assert.ok(failure, 'no failure');
  judge(failure, type, told);
  if (more.step) assert.equal(failure.step, more.step);
  assert.equal(lastReport(world)?.runId, report.runId, 'the report is on the disk of the host');
  if (outcome === 'failed') assert.deepEqual(await bareSnapshots(labOf(world)), before);
  await atRest(world);
  return report;
}

/** The application is up, has every acknowledged row, and nothing is left over, held or half done. */
export async function atRest(world: World): Promise<void> {
  const lab = labOf(world);
  await world.site.healthy();
  const rows = new Set(await world.site.rows());
  assert.deepEqual(
    [...world.site.acknowledged.keys()].filter((id) => !rows.has(id)),
    [],
    'acknowledged rows',
  );
  // The watchdog holds the record's lock, and a program of its own runs, for a moment again and again.
  const isGroup = (left: string) => left.startsWith('group ');
  let passing: string[] = [];
  await eventually('nothing is held', 30_000, async () => {
    passing = [...(await locks(lab)), ...(await leftovers(lab)).filter(isGroup)];
    return passing.length === 0;
  }).catch(() => assert.deepEqual(passing, []));
  assert.deepEqual(
    (await leftovers(lab)).filter((left) => !isGroup(left)),
    [],
  );
  const staging = join(world.state.root, 'staging/cms');
  assert.deepEqual(existsSync(staging) ? readdirSync(staging) : [], [], 'nothing is staged');
}

/** What the looks at a lab need of one. */
export function labOf({ dir, disks, repositories, passwordFile, site }: World): Lab {
  const places = { state: disks.state, scratch: disks.scratch, restored: join(disks.www, 'restored') };
  return { dir, ...places, repositories, passwordFile, site } as unknown as Lab;
}

export function lastReport(world: World): Report | undefined {
  const dir = join(world.state.root, 'reports/cms');
  const all = readdirSync(dir).filter((name) => name.endsWith('.json'));
  const read = all.map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Report);
  return read.sort((a, b) => a.startedAt.localeCompare(b.startedAt)).at(-1);
}

/** A real step whose first failure is final: how often it is tried again is not the point, and each of its attempts waits. */
export function atOnce<I, O>(step: (input: I) => Promise<O>): (input: I) => Promise<O> {
  return (input) =>
    step(input).catch((error: unknown) => {
      assert.ok(error instanceof ApplicationFailure, String(error));
      const { message, type } = error;
      throw ApplicationFailure.create({ message, nonRetryable: true, ...(type ? { type } : {}) });
    });
}
