import { isCancellation } from '@temporalio/workflow';
import type { Prepared, PrepareInput, StepInput } from '../activities/api.js';
import { formatAddress } from '../src/core/names.js';
import type { Outcome, Report } from '../src/core/report.js';
import { always, close, explain, type Run } from './run.js';
import { type Steps, stepsOn } from './steps.js';

export interface Frame {
  run: Run;
  steps: Steps;
  prepared: Prepared;
  base: StepInput;
}

/** What a workflow's body says at its end; failures are in the report already. */
export interface Ending {
  outcome: Outcome;
  said: string;
}

/** No step would find the site's host, or its report a place there. */
const NOBODY_THERE = ['NoWorker', 'UnknownSite', 'WrongHost'];

/**
 * What all workflows of a site share: `prepare` first, the hooks, and `finish` last, which writes the report, tells
 * people, gives the site back and cleans up, also after a failure and after a cancellation.
 */
export async function conduct(
  run: Run,
  ask: Omit<PrepareInput, 'site' | 'host'>,
  body: (frame: Frame) => Promise<Ending>,
): Promise<Report> {
  const { site, host } = run.address;
  let frame: Frame | undefined;
  let ending: Ending;
  try {
    const first = stepsOn(host);
    const prepared = await run.step('prepare', () =>
      first.prepare('Check plan, tools, rights, space and repositories', { site, host, ...ask }),
    );
    const base = { site, host, hostId: prepared.hostId, plan: prepared.plan };
    frame = { run, steps: stepsOn(host, prepared.limits), prepared, base };
    Object.assign(run.report, { siteId: prepared.siteId, app: prepared.app, uncovered: prepared.uncovered });
    ending = prepared.heldBy
      ? { outcome: 'skipped', said: `skipped: ${prepared.heldBy} has the site` }
      : await withHooks(frame, ask.workflow === 'backup', body);
  } catch (error) {
    ending = endOf(run, error);
  }
  let report = run.end(ending.outcome, ending.said);
  if (frame || !NOBODY_THERE.includes(report.failures[0]?.type ?? '')) {
    const base = frame?.base ?? { site, host };
    const held = frame !== undefined && ask.holds && !frame.prepared.heldBy;
    try {
      await always(() =>
        run.step('finish', () => (frame?.steps ?? stepsOn(host)).finish(headline(report), { ...base, report, held })),
      );
    } catch (error) {
      run.failed('finish', error);
      // Without its report no gate and no status knows of this run.
      if (report.outcome === 'completed') report = run.end('partial', `PARTIAL: ${report.said}; its end failed`);
    }
  }
  return close(report);
}

async function withHooks(frame: Frame, hooks: boolean, body: (frame: Frame) => Promise<Ending>): Promise<Ending> {
  const { run, steps, prepared, base } = frame;
  const has = (hook: (typeof prepared.hooks)[number]) => hooks && prepared.hooks.includes(hook);
  const call = (hook: (typeof prepared.hooks)[number], summary: string, outcome?: string) =>
    run.step(hook, () => steps.hook(summary, { ...base, hook, ...(outcome ? { outcome } : {}) }));
  if (has('condition') && (await call('condition', 'Ask whether to run now')).skip) {
    return { outcome: 'skipped', said: 'skipped: the condition hook says not now' };
  }
  let ending: Ending;
  try {
    if (has('before')) await call('before', 'Run the hook before');
    ending = await body(frame);
  } catch (error) {
    ending = endOf(run, error);
  }
  for (const hook of ending.outcome === 'failed' ? (['onFailure', 'after'] as const) : (['after'] as const)) {
    if (!has(hook)) continue;
    try {
      await always(() => call(hook, `Run the hook ${hook}`, ending.outcome));
    } catch (error) {
      // What was stored is stored: a failing clean-up hook makes the run partial, it undoes nothing.
      run.failed(hook, error);
      if (ending.outcome === 'completed') {
        ending = { outcome: 'partial', said: `PARTIAL: ${ending.said}; the hook ${hook} failed` };
      }
    }
  }
  return ending;
}

function endOf(run: Run, error: unknown): Ending {
  const step = run.stepOf(error);
  if (isCancellation(error)) return { outcome: 'cancelled', said: `cancelled in step ${step}` };
  const known = explain(step, run.address.host, error);
  if (!run.report.failures.some((failure) => failure.message === known.message)) run.failed(step, error);
  return { outcome: 'failed', said: known.message };
}

function headline(report: Report): string {
  const name = formatAddress(report);
  return `${report.outcome[0]?.toUpperCase()}${report.outcome.slice(1)}: write the report of ${name} and tell people`;
}
