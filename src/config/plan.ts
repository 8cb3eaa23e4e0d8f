import { join, resolve } from 'node:path';
import type { AppPlan, SiteFacts } from '../apps/contract.js';
import { apps } from '../apps/index.js';
import { parseRate, parseSize } from '../core/durations.js';
import { failure } from '../core/failures.js';
import { ABOUT } from '../core/manifest.js';
import type { NotifySpec, RepositorySpec } from '../core/plan.js';
import { Plan, SshSpec } from '../core/plan.js';
import { configTextOf } from './config-text.js';
import { operationsOf } from './plan-operations.js';
import { commandOf, ms, servicesOf } from './plan-services.js';
import type { Config, NotifyLines } from './schema.js';
import type { SiteLines } from './schema-site.js';

export interface PlanContext {
  host: string;
  /** What the last stopped section took, of the site's reports: the default cap is three times that. */
  lastDowntimeMs?: number;
}

const LEAST_CAP_MS = 5 * 60_000;

/** What one run of a site will do. Pure; the config is one that `loadConfig` returned. Throws UnknownSite alone. */
export function derivePlan(config: Config, siteName: string, facts: SiteFacts, context: PlanContext): Plan {
  const site = Object.hasOwn(config.sites, siteName) ? config.sites[siteName] : undefined;
  const app = site && apps[site.app];
  if (!site || !app)
    throw failure('UnknownSite', {
      step: 'plan',
      host: context.host,
      what: `there is no site "${siteName}"; known: ${Object.keys(config.sites).join(', ') || 'none'}`,
    });
  const options = app.options.parse(site.options ?? {}) as Record<string, unknown>;
  const planned = withoutAbout(site.root, facts, (own) => app.plan({ root: site.root, options }, own));
  const { limits = {}, objectives = {}, restoreTest = {} } = site;
  return Plan.parse({
    schema: 1,
    site: siteName,
    siteId: site.id ?? siteName,
    app: site.app,
    host: context.host,
    root: site.root,
    timezone: timezoneOf(config, siteName),
    services: servicesOf(site, planned.health),
    databases: planned.databases,
    fileSets: planned.fileSets,
    uncovered: planned.uncovered,
    leftOut: planned.leftOut ?? [],
    afterRestore: planned.afterRestore,
    keepAtLeastMs: planned.keepAtLeastMs ?? 0,
    options,
    repositories: repositoriesOf(config, site),
    hooks: Object.fromEntries(
      Object.entries(site.hooks ?? {}).flatMap(([name, line]) => (line ? [[name, commandOf(line, site.root)]] : [])),
    ),
    operations: operationsOf(site),
    notify: (site.notify ?? config.defaults?.notify ?? []).flatMap((name) => {
      const lines = config.notify?.[name];
      return lines ? [notifyOf(name, lines)] : [];
    }),
    limits: {
      downtimeMs: ms(limits.downtime) ?? Math.max(LEAST_CAP_MS, 3 * (context.lastDowntimeMs ?? 0)),
      startMs: ms(limits.start),
      storeMs: ms(limits.store),
      pickupMs: ms(limits.pickup),
      reserveBytes: limits.reserve === undefined ? undefined : parseSize(limits.reserve),
    },
    objectives: {
      maxAgeMs: ms(objectives.maxAge),
      maxDowntimeMs: ms(objectives.maxDowntime),
      maxProofAgeMs: ms(objectives.maxProofAge),
    },
    restore: { root: config.restore?.root, approval: config.restore?.approval },
    restoreTest: {
      scratch: restoreTest.scratch,
      boot: restoreTest.boot,
      start: restoreTest.start && commandOf(restoreTest.start),
      sample: restoreTest.sample,
    },
    of: undefined,
    pull: pullOf(site),
    configText: configTextOf(config, siteName),
  } satisfies Record<keyof Plan, unknown>);
}

/** A site that was restored into a directory and moved to its place still has the papers of that restore: captured, the next one had two. */
function withoutAbout(root: string, facts: SiteFacts, plan: (own: SiteFacts) => AppPlan): AppPlan {
  const about = join(root, ABOUT);
  const own = facts.entries.filter(({ path }) => path !== about && !path.startsWith(`${about}/`));
  if (own.length === facts.entries.length) return plan(facts);
  const planned = plan({ ...facts, entries: own });
  const fileSets = planned.fileSets.map((set) =>
    resolve(set.root) === resolve(root) ? { ...set, exclude: [...set.exclude, ABOUT] } : set,
  );
  return { ...planned, fileSets };
}

/** The state directory of a worker that runs as root. */
const STATE = '/var/lib/holdfast';

function pullOf({ pull }: SiteLines) {
  if (!pull) return undefined;
  const { state = STATE, ...ssh } = pull;
  return { ssh, state };
}

/** The zone of a site's schedules and of times shown for it. */
export function timezoneOf(config: Config, siteName: string): string {
  return config.sites[siteName]?.schedule?.timezone ?? config.defaults?.timezone ?? 'UTC';
}

function repositoriesOf(config: Config, site: SiteLines): RepositorySpec[] {
  return site.repositories.flatMap((entry) => {
    const use = typeof entry === 'string' ? { use: entry } : entry;
    const lines = config.repositories[use.use];
    if (!lines) return [];
    const { limits = {}, keep: ofRepository, ssh, ...rest } = lines;
    // Count by count, the nearest wins: `{ use: offsite, keep: { monthly: 24 } }` changes the months and keeps the days.
    const keep = { ...config.defaults?.keep, ...ofRepository, ...site.keep, ...use.keep };
    return [
      {
        ...rest,
        name: use.use,
        ...(ssh ? { ssh: SshSpec.parse(ssh) } : {}),
        credentials: rest.credentials ?? {},
        recipients: rest.recipients ?? [],
        requireMount: rest.requireMount ?? false,
        offsite: rest.offsite ?? false,
        appendOnly: rest.appendOnly ?? false,
        ...(limits.upload ? { uploadLimit: parseRate(limits.upload) } : {}),
        ...(limits.download ? { downloadLimit: parseRate(limits.download) } : {}),
        ...(Object.keys(keep).length > 0 ? { keep } : {}),
      },
    ];
  });
}

function notifyOf(name: string, lines: NotifyLines): NotifySpec {
  if ('ping' in lines) return { kind: 'ping', name, url: lines.ping, on: lines.on ?? [] };
  return { kind: 'webhook', name, url: lines.webhook, ...(lines.key ? { key: lines.key } : {}), on: lines.on };
}
