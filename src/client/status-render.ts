import type { Copy, SiteMark, SiteStatus, StatusModel } from './status-facts.js';
import { age, near, short, stamp } from './status-times.js';

export interface RenderOptions {
  now: Date;
  /** IANA name: times are stored in UTC and shown local. */
  timezone: string;
}

const HEAD = ['SITE', 'APP', 'NOW', 'DATA FROM', 'COPIES', 'PROOF', 'DOWNTIME', 'NEXT'];
const MARKS: Record<SiteStatus['state'], SiteMark> = {
  down: 'x',
  'at risk': '!',
  safe: ' ',
  'not scheduled': '?',
  'cannot tell': '?',
};

/** The status screen: time and counts, a line per site, then a line per reason. */
export function renderStatus(model: StatusModel, options: RenderOptions): string[] {
  const rows = model.sites.map((site) => cells(site, options));
  const widths = HEAD.map((head, i) => Math.max(head.length, ...rows.map((row) => [...(row[i] ?? '')].length)));
  const line = (mark: SiteMark, row: string[]) =>
    `${mark} ${row.map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - [...cell].length)).join('  ')}`.trimEnd();
  const name = widths[0] ?? 0;
  return [
    `holdfast status   ${stamp(options.now, options.timezone)}   ${counts(model)}`,
    ...(model.temporalAway
      ? [
          `? Temporal does not answer (${model.temporalAway}): nothing runs by itself; this is what the files of this host say`,
        ]
      : []),
    ...(rows.length > 0 ? [line(' ', HEAD)] : []),
    ...model.sites.map((site, i) => line(MARKS[site.state], rows[i] ?? [])),
    ...model.sites.flatMap(({ site, concerns }) =>
      concerns.map(({ mark, text }) => `${mark} ${site.padEnd(name)}  ${text}`),
    ),
  ];
}

function counts({ sites }: StatusModel): string {
  const states: SiteStatus['state'][] = ['safe', 'at risk', 'down', 'not scheduled', 'cannot tell'];
  const parts = states
    .map((state) => ({ state, n: sites.filter((site) => site.state === state).length }))
    .filter(({ n }) => n > 0)
    .map(({ state, n }) => `${n} ${state === 'down' ? 'DOWN' : state}`);
  return `${sites.length} ${sites.length === 1 ? 'site' : 'sites'}${parts.length > 0 ? `: ${parts.join(', ')}` : ''}`;
}

function cells(site: SiteStatus, { now, timezone }: RenderOptions): string[] {
  const since = (iso: string) => now.getTime() - Date.parse(iso);
  return [
    site.site,
    site.app,
    nowText(site, since),
    site.dataFrom ? `${near(new Date(site.dataFrom), now, timezone)}  ${age(since(site.dataFrom))}` : 'never',
    copiesText(site.copies, site.dataFrom, since),
    proofText(site.proof, since),
    site.downtimeMs === undefined
      ? '–'
      : `${short(site.downtimeMs)}${site.maxDowntimeMs === undefined ? '' : ` (${short(site.maxDowntimeMs)})`}`,
    nextText(site.next, now, timezone),
  ];
}

function nowText({ downSince, stoppedSince, running, state }: SiteStatus, since: (iso: string) => number): string {
  if (downSince !== undefined) return `DOWN${downSince ? ` ${short(since(downSince))}` : ''}`;
  if (stoppedSince !== undefined) return `stopped ${short(since(stoppedSince))}`;
  const run = running[0];
  if (run) return `${run.workflow} ${short(since(run.startedAt))}`;
  return state === 'cannot tell' ? '?' : 'up';
}

function copiesText(copies: Copy[], dataFrom: string | undefined, since: (iso: string) => number): string {
  if (!dataFrom) return '–';
  const fresh = copies.filter(({ capturedAt }) => capturedAt === dataFrom).map(({ repository }) => repository);
  const behind = copies
    .filter(({ capturedAt }) => capturedAt !== dataFrom)
    .map(({ repository, capturedAt }) => `${repository} ${capturedAt ? `${age(since(capturedAt))} old` : 'never'}`);
  return [fresh.join(', '), ...behind].filter(Boolean).join('; ');
}

function proofText(proof: SiteStatus['proof'], since: (iso: string) => number): string {
  if (!proof) return '–';
  if (proof.outcome === 'failed') return `FAILED ${age(since(proof.at))}`;
  const sample = proof.sample === '1/1' ? 'full' : proof.sample;
  return `${age(since(proof.at))} ${sample}, RTO ${short(proof.rtoSeconds * 1000)}`;
}

function nextText(next: SiteStatus['next'], now: Date, timezone: string): string {
  if (next === 'unknown') return '?';
  if (next === 'paused' || next === 'not applied' || next === 'no schedule') return next.toUpperCase();
  return near(new Date(next), now, timezone);
}
