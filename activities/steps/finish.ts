import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../../src/core/durations.js';
import type { Event } from '../../src/core/events.js';
import { isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import type { Report, StepResult } from '../../src/core/report.js';
import type { FinishInput } from '../api.js';
import { dropAside, dropOldAsides } from '../aside.js';
import { exists } from '../capture/copy.js';
import { isLeftover, stagingOf } from '../capture/layout.js';
import type { Context } from '../contracts.js';
import type { Deps } from '../deps.js';
import { notifyAll } from '../notify/index.js';
import { writeReport } from '../reports.js';
import { once } from '../site/journal.js';
import { type PlannedEnv, step } from '../step.js';
import { withSignal } from '../tools/context.js';
import { clearTrees, removeTree } from '../trees.js';
import { besideTree, homeOf, rolledBackTree, runTag, scratchTree } from './fetch-place.js';
import { planNow, planOrNow } from './plan-now.js';

/**
 * Ends a run on its host: the report is written, people are told once, the site is given back, and what the run needed is
 * cleared. A run whose `prepare` failed has no frozen plan: whom to tell is read from the config as it is now.
 */
export const finish = (deps: Deps) =>
  step<FinishInput, StepResult>(deps, 'finish', async ({ report, held, plan: digest }, bare) => {
    const alive = withSignal(bare.ctx, new AbortController().signal);
    await writeReport(deps.state, report);
    const plan = digest === undefined ? await planNow(report.site, bare) : await planOrNow(report.site, digest, bare);
    if (!plan) return { said: 'the report is written; nobody could be told, because the config cannot be read' };
    const env: PlannedEnv = { ...bare, plan, ctx: alive };
    // Journalled by the run, so that a repeat of this step tells nobody twice; one that was reset, and ends otherwise, tells that.
    const told = await once(deps.state, report.site, report.runId, `told-${report.outcome}`, () => tell(report, env));
    if (held && (await leftCapture(report, env))) await clearCapture(deps, report);
    await giveBack(report, env);
    await clearFetched(report, env);
    return { said: `${report.outcome[0]?.toUpperCase()}${report.outcome.slice(1)}; ${told.said}` };
  });

/** What was fetched or put aside is needed as long as the state from before is not back: the way back leads through there. */
async function clearFetched(report: Report, { deps, guard, holder, plan, ctx }: PlannedEnv): Promise<void> {
  if ((await guard.read()).undo.length > 0) return;
  const home = await homeOf(plan);
  // A run that was reset has fetched under its first run id.
  for (const firstRunId of new Set([holder.firstRunId, report.runId])) {
    const run = runTag({ firstRunId });
    for (const tree of [scratchTree(plan, deps, run), besideTree(home, plan, run)]) await removeTree(tree);
    await clearTrees(deps.state, plan.site, { firstRunId }, ctx);
  }
  // What it changed in a server was noted before it began, and nothing of it was put aside.
  if (report.workflow === 'guardedChange' && !report.rolledBack && ['completed', 'partial'].includes(report.outcome)) {
    const path = rolledBackTree(home, plan, runTag({ firstRunId: report.runId }));
    if (!(await exists(path))) await dropAside(deps.state, plan.site, path, ctx);
  }
  await dropOldAsides(deps.state, plan.site, ctx);
}

async function tell(report: Report, { plan, ctx }: PlannedEnv): Promise<{ said: string }> {
  const event = eventOf(report);
  const notes = await notifyAll(plan.notify, event, report, ctx);
  for (const note of [...notes, ...(await tellDowntime(report, plan, ctx))]) ctx.note(note);
  const wanted = plan.notify
    .filter((spec) => spec.on.includes(event) || (spec.kind === 'ping' && spec.on.length === 0))
    .map((spec) => spec.name);
  if (wanted.length === 0) return { said: 'nobody asked to be told' };
  return { said: notes.length > 0 ? 'not everybody could be told' : `told ${wanted.join(', ')}` };
}

/** The objective only raises an alarm: the cap that ends a section is limits.downtime. */
async function tellDowntime(report: Report, plan: Plan, ctx: Context): Promise<string[]> {
  const { maxDowntimeMs } = plan.objectives;
  const { downtimeMs } = report;
  if (maxDowntimeMs === undefined || downtimeMs === undefined || downtimeMs <= maxDowntimeMs) return [];
  // It holds the application down on purpose, for as long as its operation takes.
  if (report.workflow === 'guardedChange') return [];
  const said = `${report.site} was down ${formatDuration(downtimeMs)}, more than its objective of ${formatDuration(maxDowntimeMs)}`;
  const missed = await notifyAll(plan.notify, 'overdue', { ...report, said }, ctx);
  return [said, ...missed];
}

function eventOf(report: Report): Event {
  return report.workflow === 'restoreTest' && report.outcome === 'failed' ? 'proof-failed' : report.outcome;
}

/** An application that does not come up stays with this run in the record: the watchdog goes on, and the next run takes it over. */
async function giveBack(report: Report, { guard, holder, ctx }: PlannedEnv): Promise<void> {
  if (report.failures.some(({ type }) => type === 'ApplicationDown')) return;
  const { holder: by } = await guard.read();
  // By the workflow's id: a run that was reset gives back what it took under another run id.
  const ours = by?.workflowId === holder.workflowId && by.namespaceId === holder.namespaceId;
  try {
    await guard.release(ours ? by : holder, ctx);
  } catch (error) {
    if (!isFailure(error, 'NotHealthy', 'StartFailed')) throw error;
    ctx.note(error.message);
  }
}

/** A guarded change that asked a person has given the site back: what lies there now may be another run's. */
async function leftCapture(report: Report, { guard, holder }: PlannedEnv): Promise<boolean> {
  if (report.workflow !== 'guardedChange') return report.workflow === 'backup';
  return (await guard.read()).holder?.workflowId === holder.workflowId;
}

/** Staging and leftovers of this site: nobody reads them once every repository has ended. */
async function clearCapture({ state }: Deps, report: Report): Promise<void> {
  await rm(stagingOf(state, report.site), { recursive: true, force: true });
  const captures = state.captures(report.site);
  for (const name of await readdir(captures)) {
    if (isLeftover(name)) await rm(join(captures, name), { recursive: true, force: true });
  }
}
