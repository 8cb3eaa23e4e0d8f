import { formatDuration } from '../core/durations.js';
import type { Aside } from './reports.js';
import type { Concern, Copy, SiteFacts, SiteStatus } from './status-facts.js';
import { leaves } from './status-leaves.js';
import { age, short } from './status-times.js';

interface Limits {
  now: Date;
  maxAgeMs: number | undefined;
}

/** Every reason why a site is not simply safe, each with what to type next; `!` puts it at risk. */
export function concerns(status: SiteStatus, facts: SiteFacts, limits: Limits): Concern[] {
  if (!facts.state) return [tell('?', 'its host keeps the reports, and neither it nor Temporal could be asked')];
  return [
    ...down(status, facts),
    ...facts.state.unreadable.map((file) => tell('?', `${file} cannot be read; run this as the worker's user`)),
    ...waits(facts),
    ...data(status, facts, limits),
    ...status.copies.flatMap((copy) => copyConcern(copy, status)),
    ...leaves(status.copies, facts.repositories),
    ...proof(status, facts, limits),
    ...downtime(status),
    ...schedule(status, facts),
    ...facts.state.aside.map((one) => kept(status.site, one)),
  ];
}

const tell = (mark: Concern['mark'], text: string): Concern => ({ mark, text });

/** As activities/aside.ts keeps it. */
const KEPT_MS = 7 * 86_400_000;

function kept(site: string, { at, path, kind }: Aside): Concern {
  const what = kind === 'rolled-back' ? 'what was rolled back on' : 'the state from before the restore of';
  const until = new Date(Date.parse(at) + KEPT_MS).toISOString().slice(0, 10);
  const drop = `holdfast release ${site} --drop-aside --confirm ${site}`;
  return tell(' ', `${what} ${at.slice(0, 10)} is kept at ${path} until ${until}; to drop it now: ${drop}`);
}

function down({ site, downSince }: SiteStatus, { state, running }: SiteFacts): Concern[] {
  if (downSince === undefined) return [];
  const { holder, revokedFor, failed } = state?.record ?? {};
  if (failed) return [tell('x', `down since ${downSince}: ${failed.said}; tried last at ${failed.at}`)];
  const run = running.find(({ id }) => id === holder);
  if (run && !revokedFor)
    return [tell('x', `${run.id} holds it down; if that takes too long: holdfast release ${site}`)];
  const why = revokedFor ?? state?.reports.at(-1)?.failures[0]?.message ?? 'nobody brought it up again';
  return [tell('x', `${why}; fix it, then: holdfast release ${site}`)];
}

function waits({ running }: SiteFacts): Concern[] {
  return running
    .filter(({ waitsFor }) => waitsFor)
    .map(({ id, waitsFor }) => tell('!', `${id} waits for ${waitsFor}; holdfast approve ${id}`));
}

function data({ site, dataFrom }: SiteStatus, { state, cron }: SiteFacts, { now, maxAgeMs }: Limits): Concern[] {
  if (!dataFrom) return [tell(cron ? '!' : '?', `never backed up; holdfast backup ${site}`)];
  const old = now.getTime() - Date.parse(dataFrom);
  const last = state?.reports.findLast(({ workflow }) => workflow === 'backup');
  const failed = last?.outcome === 'failed' ? `: ${last.failures[0]?.message ?? last.said}` : '';
  if (maxAgeMs !== undefined && old > maxAgeMs) {
    return [
      tell('!', `data is ${age(old)} old, at most ${age(maxAgeMs)} was asked for${failed}; holdfast backup ${site}`),
    ];
  }
  return failed ? [tell('!', `the last backup failed${failed}`)] : [];
}

function copyConcern(
  { repository, capturedAt, missed, failure, level }: Copy,
  { site, dataFrom }: SiteStatus,
): Concern[] {
  const again = `holdfast backup ${site} --repository ${repository}`;
  if (!capturedAt)
    return dataFrom ? [tell('!', `${repository}: holds nothing of it yet${because(failure)}; ${again}`)] : [];
  // Where every repository misses it, the age of the data says so already.
  if (missed > 0 && capturedAt !== dataFrom) {
    return [
      tell(
        '!',
        `${repository}: ${missed} ${missed === 1 ? 'backup' : 'backups'} missing${because(failure)}; then: ${again}`,
      ),
    ];
  }
  return level === 'stored'
    ? [tell(' ', `${repository}: stored, not verified; holdfast verify ${site} --repository ${repository}`)]
    : [];
}

function because(failure: Copy['failure']): string {
  return failure ? ` (${failure.message})` : '';
}

function proof({ site, proof: last, dataFrom }: SiteStatus, { objectives }: SiteFacts, { now }: Limits): Concern[] {
  const next = `holdfast restore-test ${site}`;
  if (last?.outcome === 'failed') return [tell('!', `the last restore test failed (${last.at.slice(0, 10)}); ${next}`)];
  const { maxProofAgeMs } = objectives;
  if (maxProofAgeMs === undefined || !dataFrom) return [];
  if (!last) return [tell('!', `never proven by a restore; ${next}`)];
  const old = now.getTime() - Date.parse(last.at);
  return old > maxProofAgeMs
    ? [tell('!', `the proof is ${age(old)} old, at most ${age(maxProofAgeMs)} was asked for; ${next}`)]
    : [];
}

function downtime({ downtimeMs, maxDowntimeMs }: SiteStatus): Concern[] {
  if (downtimeMs === undefined || maxDowntimeMs === undefined || downtimeMs <= maxDowntimeMs) return [];
  return [
    tell(
      '!',
      `the last backup kept it down for ${formatDuration(downtimeMs)}, at most ${short(maxDowntimeMs)} was asked for`,
    ),
  ];
}

function schedule({ site, next }: SiteStatus, facts: SiteFacts): Concern[] {
  if (next === 'paused')
    return [
      tell(
        '!',
        `its schedule is paused${facts.schedule?.note ? ` (${facts.schedule.note})` : ''}; holdfast schedule resume holdfast-backup-${site}`,
      ),
    ];
  if (next === 'not applied')
    return [tell('!', 'the config has a schedule that Temporal does not know; holdfast schedule apply')];
  return [];
}
