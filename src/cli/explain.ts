import type { Command } from 'commander';
import type { Context } from '../../activities/contracts.js';
import type { Config } from '../config/schema.js';
import type { Plan } from '../core/plan.js';
import type { Report } from '../core/report.js';
import type { Call, Cli } from './context.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import type { NextTime } from './explain-text.js';
import { localSite, thisHost } from './sites.js';

export function register(program: Command, cli: Cli): void {
  cli
    .command(program, 'explain', 'what of a site is captured, excluded and uncovered, where it goes, and when')
    .argument('<site>')
    .action(cli.action(explain));
}

async function explain(call: Call): Promise<ExitCode> {
  const { config, site } = await localSite(call, call.args[0] ?? '');
  const { readSite } = await import('../client/reports.js');
  const { stateDirectory } = await import('../client/state-directory.js');
  const { explainText } = await import('./explain-text.js');
  const { reports } = await readSite(stateDirectory(call.cli.env), site);
  const { plan, notes, size } = await planHere(call, config, site, reports);
  const downtimes = measured(reports);
  const next = await nextTimes(call, config, site);
  call.emit({
    site,
    app: plan.app,
    root: plan.root,
    services: plan.services.map(({ name, kind }) => ({ name, kind })),
    databases: plan.databases,
    fileSets: plan.fileSets,
    uncovered: plan.uncovered,
    repositories: plan.repositories.map(({ name, engine, location, offsite, keep }) => ({
      name,
      engine,
      location,
      offsite,
      keep,
    })),
    downtimeMs: downtimes,
    limits: plan.limits,
    schedules: next,
    notes,
    size,
  });
  for (const line of explainText(plan, { downtimes, next, notes, size })) call.say(line);
  return EXIT.completed;
}

/** The plan that a run on this machine would make now, as far as it can be seen from here. */
async function planHere(
  call: Call,
  config: Config,
  site: string,
  reports: Report[],
): Promise<{ plan: Plan; notes: string[]; size: string[] }> {
  const { derivePlan } = await import('../config/plan.js');
  const { gatherFacts } = await import('../config/facts.js');
  const { apps } = await import('../apps/index.js');
  const { localContext } = await import('../../activities/local-context.js');
  const host = config.sites[site]?.host ?? thisHost(call);
  const lastDowntimeMs = measured(reports)[0];
  const context = { host, ...(lastDowntimeMs === undefined ? {} : { lastDowntimeMs }) };
  const bare = derivePlan(config, site, { entries: [], volumes: [] }, context);
  const { defaultStateDir } = await import('../../activities/site/state.js');
  const notes: string[] = [];
  const ctx = await localContext('explain', { stateDir: defaultStateDir(call.cli.env), host });
  if (host !== thisHost(call)) notes.push(`the site is on ${host}; what lies in its directory is not seen from here`);
  const volumes = await volumesOf(bare, ctx, notes);
  const facts = await gatherFacts(bare.root, volumes, apps[bare.app]?.looksInto);
  const plan = derivePlan(config, site, facts, context);
  return { plan, notes, size: host === thisHost(call) ? await sizeOf(plan, ctx, notes) : [] };
}

/** What the application says of the size of a backup. */
async function sizeOf(plan: Plan, ctx: Context, notes: string[]): Promise<string[]> {
  const { checks } = await import('../../activities/checks/index.js');
  try {
    return (await checks[plan.app]?.explain?.(plan, ctx)) ?? [];
  } catch (error) {
    notes.push(`its size is not known: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

/** Volumes of the services; where a service cannot be asked, a note says so instead. */
async function volumesOf(plan: Plan, ctx: Context, notes: string[]) {
  const { services } = await import('../../activities/services/index.js');
  const found = await Promise.all(
    plan.services.map(async (spec) => {
      try {
        return (await services[spec.kind].volumes?.(spec, ctx)) ?? [];
      } catch (error) {
        notes.push(`volumes of ${spec.name} are not known: ${error instanceof Error ? error.message : String(error)}`);
        return [];
      }
    }),
  );
  return found.flat();
}

/** Downtimes of the last runs, newest first. */
function measured(reports: Report[]): number[] {
  return reports
    .flatMap(({ workflow, downtimeMs }) => (workflow === 'backup' && downtimeMs ? [downtimeMs] : []))
    .reverse()
    .slice(0, 5);
}

async function nextTimes(call: Call, config: Config, site: string): Promise<NextTime[]> {
  const { scheduleWishes } = await import('../client/schedule-wishes.js');
  const { Cron } = await import('croner');
  return scheduleWishes(config, thisHost(call))
    .filter((wish) => wish.site === site && wish.workflow !== 'watch')
    .map(({ workflow, said, cron, timezone }) => {
      const next = new Cron(cron, { timezone, paused: true }).nextRun(call.cli.now());
      return { workflow, said, timezone, ...(next ? { next: next.toISOString() } : {}) };
    });
}
