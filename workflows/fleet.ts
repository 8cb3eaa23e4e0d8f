import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  condition,
  continueAsNew,
  defineQuery,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import { type FleetReport, type FleetSite, fleetSaid, worstOf } from '../src/core/fleet.js';
import { FleetInput } from '../src/core/inputs.js';
import { DEFAULT_HOST, formatAddress, parseAddress, TASK_QUEUE, workflowId } from '../src/core/names.js';
import type { Report } from '../src/core/report.js';
import { explain, parseInput } from './run.js';
import { stepsOn } from './steps.js';

export const fleetQuery = defineQuery<FleetReport>('report');

/** Runs of one history: each leaves its report there, and a history must stay small enough to be replayed at once. */
const RUNS_PER_HISTORY = 200;

/** What a long fleet takes along into its next history. */
interface Carried {
  startedAt: string;
  waiting: string[];
  sites: FleetSite[];
}

/**
 * The same job for many sites, bounded in all and per host. Each is a run of its own under its usual id, which neither another
 * one's failure nor the end of this one touches; a cancellation ends those that run in order and begins no other.
 */
export async function fleet(raw: unknown, carried?: Carried): Promise<FleetReport> {
  const input = parseInput(FleetInput, raw);
  const report: FleetReport = {
    said: `${input.workflow} of many sites is running`,
    schemaVersion: 1,
    workflow: 'fleet',
    of: input.workflow,
    workflowId: workflowInfo().workflowId,
    outcome: 'completed',
    startedAt: carried?.startedAt ?? new Date(Date.now()).toISOString(),
    running: [],
    waiting: carried?.waiting ?? [],
    sites: carried?.sites ?? [],
  };
  setHandler(fleetQuery, () => report, {
    description: 'Outcome of each site that is done, and what still runs and waits',
  });
  if (!carried) await choose(input, report);
  const begunBefore = report.sites.length;
  const begun = () => report.sites.length - begunBefore + report.running.length;
  const over = () => report.waiting.length === 0 || begun() >= RUNS_PER_HISTORY;
  const hostOf = (site: string) => parseAddress(site).host;
  const busy = new Map<string, number>();
  const count = (host: string, more: number) => busy.set(host, (busy.get(host) ?? 0) + more);
  const free = (site: string) => (busy.get(hostOf(site)) ?? 0) < input.perHost;
  const lane = async () => {
    for (;;) {
      await condition(() => over() || report.waiting.some(free));
      const site = over() ? undefined : report.waiting.find(free);
      if (over()) return;
      if (site === undefined) continue;
      report.waiting = report.waiting.filter((each) => each !== site);
      report.running.push(site);
      count(hostOf(site), 1);
      show(report);
      const done = await runSite(input, site);
      count(hostOf(site), -1);
      report.running = report.running.filter((each) => each !== site);
      report.sites.push(done);
      show(report);
    }
  };
  show(report);
  const ended = await Promise.allSettled(
    Array.from({ length: Math.min(input.concurrency, report.waiting.length) }, lane),
  );
  const stopped = ended.find((end) => end.status === 'rejected');
  if (!stopped && report.waiting.length > 0) {
    const { startedAt, waiting, sites } = report;
    await continueAsNew<typeof fleet>(raw, { startedAt, waiting, sites });
  }
  return close(report, stopped?.reason);
}

/** Which sites: those that are named, or what the configs of the hosts say. A host that does not answer takes none of the others along. */
async function choose(input: FleetInput, report: FleetReport): Promise<void> {
  if (input.sites) {
    report.waiting = distinct(input.sites.map((site) => formatAddress(parseAddress(site))));
    return;
  }
  const hosts = distinct(input.hosts ?? [DEFAULT_HOST]);
  await Promise.all(
    hosts.map(async (host) => {
      try {
        const app = input.app === undefined ? {} : { app: input.app };
        const { sites } = await stepsOn(host).choose(`Look which sites ${host} has`, { host, ...app });
        report.waiting.push(...sites);
      } catch (error) {
        if (isCancellation(error)) throw error;
        const { type, message } = explain('choose', host, error);
        report.sites.push({ site: `@${host}`, outcome: 'failed', said: message, type });
      }
    }),
  );
  report.waiting = distinct(report.waiting).sort();
  // Done for nobody is not done: a name that was mistyped must not end as completed.
  if (report.waiting.length + report.sites.length > 0) return;
  const said = input.app === undefined ? 'it has no site' : `it has no site of the application ${input.app}`;
  for (const host of hosts) report.sites.push({ site: `@${host}`, outcome: 'failed', said, type: 'UnknownSite' });
}

const distinct = (names: string[]): string[] => [...new Set(names)];

async function runSite({ workflow, reason }: FleetInput, site: string): Promise<FleetSite> {
  const id = workflowId(workflow, parseAddress(site), new Date(Date.now()));
  const why = reason ?? 'fleet';
  try {
    const child = await startChild<(input: unknown) => Promise<Report>>(workflow, {
      taskQueue: TASK_QUEUE,
      workflowId: id,
      args: [workflow === 'backup' ? { site, reason: why } : { site }],
      // It may hold an application down: nobody's end but its own may end it.
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `${workflow} of ${site} · ${why}`,
      memo: { site },
    });
    const { outcome, said } = await child.result();
    return { site, outcome, workflowId: id, ...(outcome === 'completed' ? {} : { said }) };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError)
      return { site, outcome: 'skipped', workflowId: id, said: 'the same run was started in the same second' };
    const cause = error instanceof ChildWorkflowFailure ? error.cause : error;
    if (isCancellation(error) || isCancellation(cause))
      return { site, outcome: 'cancelled', workflowId: id, said: 'cancelled' };
    const known = cause instanceof ApplicationFailure;
    const said = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
    return { site, outcome: 'failed', workflowId: id, said, type: (known ? cause.type : undefined) ?? 'Unexpected' };
  }
}

function show(report: FleetReport): void {
  const { sites, running } = report;
  const bad = sites.filter(({ outcome }) => outcome !== 'completed');
  setCurrentDetails(
    [
      `**${fleetSaid({ ...report, waiting: [...report.waiting, ...running] })}**`,
      ...(running.length > 0 ? ['', `now: ${running.join(', ')}`] : []),
      ...(bad.length > 0 ? ['', '| site | outcome | said |', '|---|---|---|'] : []),
      ...bad
        .slice(-50)
        .map(({ site, outcome, said = '' }) => `| ${site} | ${outcome} | ${said.replaceAll('|', '\\|')} |`),
    ].join('\n'),
  );
}

function close(report: FleetReport, stopped: unknown): FleetReport {
  report.endedAt = new Date(Date.now()).toISOString();
  report.outcome = stopped ? 'cancelled' : worstOf(report.sites);
  report.said = fleetSaid(report);
  show(report);
  if (stopped) throw isCancellation(stopped) ? new CancelledFailure(report.said) : stopped;
  if (report.outcome !== 'failed') return report;
  const first = report.sites.find(({ outcome }) => outcome === 'failed');
  throw ApplicationFailure.create({
    message: `${report.said}; first: ${first?.said ?? ''}`,
    type: first?.type ?? 'Unexpected',
    nonRetryable: true,
    details: [report],
  });
}
