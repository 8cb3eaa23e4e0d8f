import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { bareSnapshots } from '../support/lab-look.js';
import { keepApproving, startPlain } from '../support/lab-runs.js';
import { slowness } from '../support/slowness.js';
import { eventually } from '../support/toy.js';
import { type Arena, LIMITS_MS, within } from './arena.js';
import { mendProgram, prepare, recover, strike } from './blows.js';
import { type Blow, type Case, nameOf } from './cases.js';
import { check } from './check.js';
import { moment, phase } from './moments.js';
import { wreck } from './restored.js';

export interface Played {
  name: string;
  blow?: Blow;
  /** Which step was pending when it struck; undefined where the run had ended before. */
  struck: string | undefined;
  /** From the blow to the application's answer, where it was down. */
  healthyMs?: number;
  outcome: string;
  sections?: number;
  tookMs?: number;
}

/** Plays one case and looks at the world after it; throws where it is not as it must be. */
export async function play(arena: Arena, one: Case): Promise<Played> {
  const { lab } = arena;
  const began = performance.now();
  const before = new Set((await bareSnapshots(lab)).map(({ id }) => id));
  const input =
    one.workflow === 'backup'
      ? { site: 'cms', repositories: [one.repository] }
      : { site: 'cms', repository: one.repository };
  const asBefore =
    one.blow === 'broken'
      ? await lab.configure(({ sites }) => {
          sites.cms.limits.start = '8s';
        })
      : undefined;
  await prepare(arena, one.blow);
  const wrecked = one.workflow === 'restore' ? await wreck(lab) : undefined;
  const handle = await startPlain(lab, one.workflow, input);
  const approved = one.workflow === 'restore' ? keepApproving(handle) : undefined;
  const struck = await moment(lab, handle, one);
  const down = ['stopped', 'revoked'].includes(phase(lab));
  const at = performance.now();
  await strike(arena, one.blow, handle);
  // Both go on at once, as they would: a supervisor does not wait for the application.
  const [healthyMs, backAt] =
    one.blow === 'broken'
      ? [await mended(arena, handle.workflowId, input), at]
      : await Promise.all([
          healthy(arena, one.blow, arena.stoppedAt ?? at),
          recover(arena, one.blow).then(() => performance.now()),
        ]);
  const report = await ended(arena, handle.workflowId, one.blow);
  approved?.();
  await asBefore?.();
  await check(arena, one, { report, before, wrecked, awayMs: backAt - at });
  return {
    name: nameOf(one),
    blow: one.blow,
    struck,
    outcome: report?.outcome ?? 'terminated',
    ...(report?.sections === undefined ? {} : { sections: report.sections }),
    ...(down && healthyMs !== undefined ? { healthyMs } : {}),
    tookMs: Math.round(performance.now() - began),
  };
}

/**
 * From the blow until the application answers; undefined where it was never seen down. It must answer within the limit: a section
 * that goes on, or is repeated, may stop it again.
 */
async function healthy({ lab, ownStartMs }: Arena, blow: Blow, at: number): Promise<number | undefined> {
  const limit = LIMITS_MS[blow] + 3 * ownStartMs;
  let answered = false;
  let wasDown = false;
  const answers = async () => {
    answered = await lab.site.up();
    wasDown ||= !answered;
    return answered;
  };
  await eventually(`the application is up after ${blow}`, limit, answers).catch(async (error: Error) => {
    const slower = await slowness();
    if (slower === 1) throw error;
    await eventually(`${error.message}; and not on a machine that is ${slower} times slower`, limit * slower, answers);
  });
  // A stop that was on its way when it struck takes effect only now.
  while (!wasDown && ['stopped', 'revoked'].includes(phase(lab)) && performance.now() - at < limit) {
    wasDown = !(await lab.site.up());
    if (wasDown) await eventually(`the application is up after ${blow}`, limit, () => lab.site.up());
    else await sleep(10);
  }
  return wasDown ? performance.now() - at : undefined;
}

/** The run ends without its application; the next one has begun when somebody mends it, and completes. From then on it is counted. */
async function mended(arena: Arena, workflowId: string, input: object): Promise<number | undefined> {
  const { lab } = arena;
  await ended(arena, workflowId, 'broken');
  const next = await startPlain(lab, 'backup', input);
  await sleep(1_000);
  await mendProgram(lab);
  const healthyMs = await healthy(arena, 'broken', performance.now());
  const report = await within('the next run', reportOf(next));
  assert.equal(report.outcome, 'completed', `the next run: ${report.said}`);
  return healthyMs;
}

async function ended({ lab }: Arena, workflowId: string, blow: Blow): Promise<Report | undefined> {
  // Without its run id: a reset goes on as another one.
  const handle = lab.client.workflow.getHandle(workflowId);
  const report = await within(
    `the end of ${workflowId}`,
    reportOf(handle).catch((error: Error) => error),
  );
  if (blow === 'terminate' || blow === 'forgotten') return undefined;
  if (report instanceof Error) throw report;
  return report;
}
