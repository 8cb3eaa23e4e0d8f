import { apps } from '../../src/apps/index.js';
import { gatherFacts } from '../../src/config/facts.js';
import { freezePlan } from '../../src/config/freeze.js';
import { derivePlan } from '../../src/config/plan.js';
import { isFailure } from '../../src/core/failures.js';
import { isOnline, livesElsewhere, type Plan, type RepositorySpec } from '../../src/core/plan.js';
import type { Prepared, PrepareInput } from '../api.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { operationOf } from '../guarded/operation.js';
import { notifyAll } from '../notify/index.js';
import { preflightHealth } from '../preflight/health.js';
import { forLostSite } from '../preflight/lost-site.js';
import { preflightOperation } from '../preflight/operation.js';
import { preflightRepositories } from '../preflight/repositories.js';
import { preflightSources } from '../preflight/sources.js';
import { preflightSpace } from '../preflight/space.js';
import { knownLevels, readReports } from '../reports.js';
import { services } from '../services/index.js';
import { openState } from '../site/state.js';
import { watchdogAlive } from '../site/watchdog-status.js';
import { type Env, step } from '../step.js';
import { findSite } from './find-site.js';
import { keepText } from './keep-text.js';
import { takeSite } from './take-site.js';

/** Derives and freezes the plan, and checks all that can fail before anything stops; then takes the site. */
export const prepare = (deps: Deps) =>
  step<PrepareInput, Prepared>(deps, 'prepare', async (input, env) => {
    const { ctx } = env;
    // One that was lost is made anew: a worker that runs does it only here.
    await openState(deps.state.root);
    const plan = await planOf(input, env);
    const digest = await freezePlan(deps.state.plans, plan);
    const heldBy = input.holds ? await takeSite(plan, env) : undefined;
    // Told beside the checks: an address that hangs must not hold the run up.
    const told = heldBy || input.workflow !== 'backup' ? [] : tellStarted(plan, env);
    if (!heldBy) await preflight(plan, input, env);
    for (const note of await told) ctx.note(note);
    const stops = plan.services.some((service) => service.kind !== 'none') && !isOnline(plan);
    if (stops && !heldBy && !(await watchdogAlive(deps.state)))
      ctx.note('no watchdog runs on this host; the worker starts one');
    const operation = input.operation === undefined ? undefined : operationOf(plan, input.operation, ctx);
    const names = plan.repositories.map((repository) => repository.name).join(', ');
    return {
      said: heldBy
        ? `${heldBy} has the site`
        : `Plan ${digest.slice(0, 4)}; tools, rights, space and ${plan.repositories.length === 1 ? `repository ${names} are` : `${plan.repositories.length} repositories are`} ready`,
      plan: digest,
      hostId: deps.hostId,
      siteId: plan.siteId,
      app: plan.app,
      repositories: await Promise.all(plan.repositories.map((repository) => describe(repository, plan, deps))),
      services: plan.services.filter(({ kind }) => kind !== 'none').map(({ name }) => name),
      databases: plan.databases.map(({ name }) => name),
      stops,
      warm: stops && plan.fileSets.some((set) => set.change === 'mutable' && set.include.length === 0),
      ...(appChecks[plan.app]?.afterStore ? { confirms: true } : {}),
      ...pushesOf(plan),
      boots: plan.restoreTest.boot && appChecks[plan.app]?.boot !== undefined,
      hooks: Object.keys(plan.hooks) as Prepared['hooks'],
      limits: { startMs: plan.limits.startMs, storeMs: plan.limits.storeMs, pickupMs: plan.limits.pickupMs },
      approval: plan.restore.approval,
      uncovered: plan.uncovered,
      ...(operation ? { operation: { writes: operation.writes } } : {}),
      ...(heldBy ? { heldBy } : {}),
    };
  });

/** Absent where there is none, as in the histories from before. */
function pushesOf(plan: Plan): Pick<Prepared, 'pushes'> {
  const pushes = appChecks[plan.app]?.push?.remotes(plan) ?? [];
  return pushes.length > 0 ? { pushes } : {};
}

async function planOf(input: PrepareInput, env: Env): Promise<Plan> {
  const { deps, ctx } = env;
  const config = await findSite(input.site, env);
  const reports = await readReports(deps.state, input.site);
  const lastDowntimeMs = reports.findLast((report) => report.downtimeMs !== undefined)?.downtimeMs;
  const options = { host: deps.host, ...(lastDowntimeMs === undefined ? {} : { lastDowntimeMs }) };
  const bare = derivePlan(config, input.site, { entries: [], volumes: [] }, options);
  const volumes = input.reads
    ? []
    : (await Promise.all(bare.services.map((spec) => services[spec.kind].volumes?.(spec as never, ctx) ?? []))).flat();
  const facts = await gatherFacts(bare.root, volumes, apps[bare.app]?.looksInto);
  const plan = derivePlan(config, input.site, facts, options);
  if (!input.repositories) return plan;
  const unknown = input.repositories.filter(
    (name) => !plan.repositories.some((repository) => repository.name === name),
  );
  if (unknown.length > 0) {
    const known = plan.repositories.map((repository) => repository.name).join(', ');
    throw ctx.fail('UnknownRepository', `${input.site} has no repository ${unknown.join(', ')}; known: ${known}`);
  }
  return { ...plan, repositories: plan.repositories.filter(({ name }) => input.repositories?.includes(name)) };
}

function tellStarted(plan: Plan, { ctx, deps, holder }: Env): Promise<string[]> {
  const { site } = plan;
  const { workflowId, workflow } = holder;
  return notifyAll(
    plan.notify,
    'started',
    { said: `${workflow} of ${site} started`, site, host: deps.host, workflowId, workflow },
    ctx,
  );
}

async function preflight(plan: Plan, input: PrepareInput, env: Env): Promise<void> {
  if (input.target !== undefined && plan.restore.root === undefined) {
    throw env.ctx.fail('InvalidConfig', 'a restore into a directory needs restore.root', {
      advice: 'set restore.root in holdfast.yaml',
    });
  }
  levelFits(plan, input, env);
  // On an empty machine there is no service yet, and a restore into a directory needs none.
  const guarded = input.workflow === 'guardedChange';
  const stops = input.workflow === 'backup' || guarded || (input.workflow === 'restore' && input.target === undefined);
  const ctx = input.workflow === 'restore' ? forLostSite(env.ctx) : env.ctx;
  for (const spec of stops ? plan.services : []) await services[spec.kind].preflight(spec as never, ctx);
  if (!input.reads && !isOnline(plan)) await preflightHealth(plan, env.ctx, env.deps.healthPatienceMs);
  const bytes = input.reads ? 0 : await preflightSources(plan, env);
  if (!input.reads) await appChecks[plan.app]?.preflight?.(plan, env.ctx);
  await preflightRepositories(plan, input.workflow === 'backup' || guarded, env).catch((error) => {
    // Each has its note by now: a change needs none of them, only its safety snapshot does.
    if (!guarded || isFailure(error, 'RepositoryInSource')) throw error;
  });
  if (!input.reads) await preflightSpace(plan, bytes, env);
  if (input.operation !== undefined) await preflightOperation(plan, input.operation, bytes, env);
}

/** An engine that stores everything each time, or only what is new, has no other level to offer. */
function levelFits(plan: Plan, { level }: PrepareInput, { ctx }: Env): void {
  if (level === undefined || level === 'full') return;
  const unable = plan.repositories
    .filter(({ engine }) => !engines[engine].abilities[level])
    .map(({ name, engine }) => `${name} (${engine})`);
  if (unable.length > 0)
    throw ctx.fail('InvalidInput', `${unable.join(', ')} has no ${level} backups`, { advice: 'leave level out' });
}

/** How many ids of snapshots travel to another host: more than retention keeps there. */
const MOST_KNOWN = 200;

async function describe(repository: RepositorySpec, plan: Plan, deps: Deps): Promise<Prepared['repositories'][number]> {
  const { name, engine, offsite, keep, appendOnly, host, proveOn } = repository;
  const away = livesElsewhere(repository, plan.host);
  const prover = proveOn !== undefined && proveOn !== plan.host ? { proveOn } : {};
  const bare = { name, engine, offsite, prunes: appendOnly ? '' : keepText(keep), ...prover };
  if (!away || host === undefined) return bare;
  const { verified, proven } = await knownLevels(deps.state, plan.site, name);
  const newest = (ids: Set<string>) => [...ids].slice(-MOST_KNOWN);
  return { ...bare, host, known: { verified: newest(verified), proven: newest(proven) } };
}
