import type { Client } from '@temporalio/client';
import { localPath } from '../config/resolve.js';
import type { Config } from '../config/schema.js';
import { parseDuration } from '../core/durations.js';
import { DEFAULT_HOST, formatAddress, scheduleId } from '../core/names.js';
import type { Progress, Report } from '../core/report.js';
import { reportOf } from './follow.js';
import { mergeReports, readSite, type SiteState } from './reports.js';
import { listRuns } from './runs.js';
import { cronOf } from './schedule-wishes.js';
import { listOurs, type OurSchedule } from './schedules.js';
import type { SiteFacts } from './status-facts.js';

export interface GatherOptions {
  /** The state directory of this host. */
  dir: string;
  /** Name of this host: sites that name none are here. */
  host?: string;
  /** Absent where Temporal is away. */
  client?: Client | undefined;
  /** Only this site. */
  site?: string | undefined;
}

/** How many of a site's runs are asked from Temporal, where this host has no files of them. */
const REMOTE_RUNS = 20;

/** All that is known of each site: this host's files, and what Temporal adds. */
export async function gatherStatus(config: Config, options: GatherOptions): Promise<SiteFacts[]> {
  const schedules = options.client ? await listOurs(options.client) : [];
  const names = Object.keys(config.sites).filter((name) => options.site === undefined || name === options.site);
  return Promise.all(names.map((name) => siteFacts(config, name, schedules, options)));
}

async function siteFacts(
  config: Config,
  name: string,
  schedules: OurSchedule[],
  { dir, host: thisHost = DEFAULT_HOST, client }: GatherOptions,
): Promise<SiteFacts> {
  const lines = config.sites[name];
  const address = { site: name, host: lines?.host ?? thisHost };
  const site = formatAddress(address);
  const local = address.host === thisHost;
  const [files, running] = await Promise.all([
    local ? readSite(dir, name) : undefined,
    client ? runningOf(client, site) : [],
  ]);
  const state = files ?? (client ? await fromTemporal(client, site) : undefined);
  const schedule = schedules.find(({ id }) => id === scheduleId('backup', address));
  const said = lines?.schedule?.backup;
  const line = said === undefined ? undefined : cronOf(said, 'backup', address);
  const { maxAge, maxDowntime, maxProofAge } = lines?.objectives ?? {};
  return {
    site,
    app: lines?.app ?? '',
    repositories: (lines?.repositories ?? []).map((use) => {
      const repository = typeof use === 'string' ? use : use.use;
      const { offsite = false, location = '', host } = config.repositories[repository] ?? {};
      const local = localPath(location) !== undefined && (host ?? address.host) === address.host;
      return { name: repository, offsite, local };
    }),
    objectives: {
      ...ms('maxAgeMs', maxAge),
      ...ms('maxDowntimeMs', maxDowntime),
      ...ms('maxProofAgeMs', maxProofAge),
    },
    running,
    ...(state ? { state } : {}),
    ...(line ? { cron: { line, timezone: lines?.schedule?.timezone ?? config.defaults?.timezone ?? 'UTC' } } : {}),
    ...(schedule
      ? {
          schedule: {
            paused: schedule.paused,
            ...(schedule.next ? { next: schedule.next.toISOString() } : {}),
            ...(schedule.note ? { note: schedule.note } : {}),
          },
        }
      : {}),
  };
}

function ms<K extends string>(key: K, text: string | undefined): Partial<Record<K, number>> {
  const value = text === undefined ? undefined : parseDuration(text);
  return (value === undefined ? {} : { [key]: value }) as Partial<Record<K, number>>;
}

async function runningOf(client: Client, site: string): Promise<SiteFacts['running']> {
  const runs = await listRuns(client, site, { running: true });
  return Promise.all(
    runs.map(async ({ id, workflow, startedAt }) => {
      const progress = await client
        .withDeadline(Date.now() + 2000, () => client.workflow.getHandle(id).query<Progress>('progress'))
        .catch(() => undefined);
      return {
        id,
        workflow,
        startedAt: startedAt.toISOString(),
        ...(progress?.waitsFor ? { waitsFor: progress.waitsFor } : {}),
      };
    }),
  );
}

/** Reports of a site as Temporal still has them: the results of its closed runs. */
export async function closedReports(client: Client, site: string, limit = REMOTE_RUNS): Promise<Report[]> {
  const runs = (await listRuns(client, site, { limit })).filter(({ closedAt }) => closedAt);
  const reports = await Promise.all(
    runs.map(({ id, runId }) => reportOf(client.workflow.getHandle(id, runId)).catch(() => undefined)),
  );
  return mergeReports(reports.filter((report) => report !== undefined));
}

async function fromTemporal(client: Client, site: string): Promise<SiteState> {
  const reports = await closedReports(client, site);
  const proofs = reports.flatMap(({ proof }) => (proof && proof.databaseSnapshot === undefined ? [proof] : []));
  return { reports, proofs, unreadable: [], aside: [] };
}
