import { Cron } from 'croner';
import type { SiteState } from './reports.js';
import { concerns } from './status-concerns.js';
import { copiesOf } from './status-copies.js';
import type { SiteFacts, SiteStatus, StatusModel } from './status-facts.js';

const ORDER: SiteStatus['state'][] = ['down', 'at risk', 'safe', 'not scheduled', 'cannot tell'];

/** What `status` says of every site: the worst first. */
export function statusModel(facts: SiteFacts[], options: { now: Date; temporalAway?: string }): StatusModel {
  const sites = facts.map((site) => siteStatus(site, options.now, options.temporalAway !== undefined));
  sites.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || a.site.localeCompare(b.site));
  return { sites, ...(options.temporalAway ? { temporalAway: options.temporalAway } : {}) };
}

/** 0 safe, 1 at risk, 6 down, 7 cannot tell; a Temporal that is away is never 0, because then nothing runs by itself. */
export function statusExit({ sites, temporalAway }: StatusModel): 0 | 1 | 6 | 7 {
  const is = (...states: SiteStatus['state'][]) => sites.some(({ state }) => states.includes(state));
  if (is('down')) return 6;
  if (is('at risk', 'not scheduled')) return 1;
  return is('cannot tell') || temporalAway !== undefined ? 7 : 0;
}

function siteStatus(facts: SiteFacts, now: Date, temporalAway: boolean): SiteStatus {
  const { site, app, state, objectives, running } = facts;
  const copies = copiesOf(facts);
  const dataFrom =
    copies
      .map(({ capturedAt }) => capturedAt ?? '')
      .sort()
      .at(-1) || undefined;
  const proof = state?.proofs.at(-1);
  const downtimeMs = state?.reports.findLast(
    // A guarded change holds the application down on purpose.
    ({ workflow, downtimeMs }) => workflow !== 'guardedChange' && downtimeMs !== undefined,
  )?.downtimeMs;
  const since = downtime(state, objectives.maxDowntimeMs, now);
  const status: SiteStatus = {
    site,
    app,
    state: 'safe',
    running,
    copies,
    next: nextOf(facts, temporalAway),
    concerns: [],
    ...since,
    ...(dataFrom ? { dataFrom } : {}),
    ...(proof
      ? { proof: { at: proof.provenAt, outcome: proof.outcome, sample: proof.sample, rtoSeconds: proof.rtoSeconds } }
      : {}),
    ...(downtimeMs === undefined ? {} : { downtimeMs }),
    ...(objectives.maxDowntimeMs === undefined ? {} : { maxDowntimeMs: objectives.maxDowntimeMs }),
  };
  status.concerns = concerns(status, facts, { now, maxAgeMs: maxAge(facts, now) });
  status.state = judge(status, facts);
  return status;
}

/** How long a run may have an application stopped before that is an outage, where no objective says so. */
const PLANNED_MS = 60_000;

function downtime(
  state: SiteState | undefined,
  maxDowntimeMs: number | undefined,
  now: Date,
): Pick<SiteStatus, 'downSince' | 'stoppedSince'> {
  const { phase, downAt = '' } = state?.record ?? {};
  if (phase !== 'stopped' && phase !== 'revoked') return {};
  const planned = phase === 'stopped' && now.getTime() - Date.parse(downAt) <= (maxDowntimeMs ?? PLANNED_MS);
  return planned ? { stoppedSince: downAt } : { downSince: downAt };
}

function judge({ downSince, concerns, next }: SiteStatus, { state }: SiteFacts): SiteStatus['state'] {
  if (downSince !== undefined) return 'down';
  if (!state || state.unreadable.length > 0) return 'cannot tell';
  if (concerns.some(({ mark }) => mark === '!')) return 'at risk';
  return next === 'no schedule' ? 'not scheduled' : 'safe';
}

function nextOf({ cron, schedule }: SiteFacts, temporalAway: boolean): SiteStatus['next'] {
  if (!cron && !schedule) return 'no schedule';
  if (temporalAway) return 'unknown';
  if (!schedule) return 'not applied';
  if (schedule.paused) return 'paused';
  return schedule.next ?? 'unknown';
}

/** How old data may be: as asked; else the longest gap of the schedule and a quarter; else no limit. */
function maxAge({ objectives, cron }: SiteFacts, now: Date): number | undefined {
  if (objectives.maxAgeMs !== undefined || !cron) return objectives.maxAgeMs;
  const runs = new Cron(cron.line, { timezone: cron.timezone, paused: true }).nextRuns(8, now);
  const gaps = runs.slice(1).map((run, i) => run.getTime() - (runs[i]?.getTime() ?? 0));
  return gaps.length > 0 ? Math.max(...gaps) * 1.25 : undefined;
}
