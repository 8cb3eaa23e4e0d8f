import { apps } from '../../src/apps/index.js';
import { gatherFacts } from '../../src/config/facts.js';
import { derivePlan } from '../../src/config/plan.js';
import type { Config } from '../../src/config/schema.js';
import { formatBytes } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import { type Finding, failed, ok, tried, warn } from '../../src/core/findings.js';
import { livesElsewhere, type Plan, type RepositorySpec } from '../../src/core/plan.js';
import { checks as appChecks } from '../checks/index.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import { engines } from '../engines/index.js';
import { services } from '../services/index.js';
import type { StateDir } from '../site/api.js';
import { attributesAreKept } from './repositories.js';
import { preflightSources } from './sources.js';
import { preflightSpace } from './space.js';

export interface CheckEnv {
  state: StateDir;
  host: string;
  ctx: Context;
  /** Create repositories that are not there. */
  init: boolean;
}

/** All that a backup of a site needs on this host: programs, services, sources, space and repositories. Changes nothing without `init`. */
export async function checkSite(config: Config, site: string, env: CheckEnv): Promise<Finding[]> {
  const { host } = env;
  const notes: string[] = [];
  const ctx: Context = { ...env.ctx, note: (text) => void notes.push(text) };
  const bare = derivePlan(config, site, { entries: [], volumes: [] }, { host });
  const volumes: { name: string; path?: string }[] = [];
  const findings: Finding[] = [];
  for (const spec of bare.services) {
    const finding = await tried(`${site}: service ${spec.name}`, async () => {
      const tools = await services[spec.kind].preflight(spec as never, ctx);
      volumes.push(...((await services[spec.kind].volumes?.(spec as never, ctx)) ?? []));
      const { units } = await services[spec.kind].status(spec as never, ctx);
      const running = units.filter((unit) => unit.running).length;
      return `${versions(tools)}${running} of ${units.length} running`;
    });
    findings.push(spec.kind === 'none' ? ok(finding.about, 'never stopped') : finding);
  }
  const facts = await gatherFacts(bare.root, volumes, apps[bare.app]?.looksInto);
  const plan = derivePlan(config, site, facts, { host });
  findings.push(...(await checkSources(plan, ctx, env)));
  const preflight = appChecks[plan.app]?.preflight;
  if (preflight)
    findings.push(
      await tried(`${site}: ${plan.app}`, async () => {
        await preflight(plan, ctx);
        return 'as its backups need it';
      }),
    );
  findings.push(...(await Promise.all(plan.repositories.map((one) => checkRepository(plan, one, ctx, env.init)))));
  findings.push(
    ...plan.uncovered.map((left) =>
      warn(`${site}: coverage`, `${left} is neither included nor excluded; see`, `holdfast explain ${site}`),
    ),
  );
  findings.push(...notes.map((note) => warn(`${site}: note`, note)));
  return findings;
}

async function checkSources(plan: Plan, ctx: Context, { state }: CheckEnv): Promise<Finding[]> {
  const { site } = plan;
  const findings: Finding[] = [];
  for (const spec of plan.databases) {
    findings.push(
      await tried(`${site}: database ${spec.name}`, async () => {
        const { bytes, tools } = await databases[spec.kind].preflight(spec as never, ctx);
        return `${versions(tools)}${formatBytes(bytes)}`;
      }),
    );
  }
  const env = { ctx, deps: { state } };
  let bytes = 0;
  findings.push(
    await tried(`${site}: files`, async () => {
      bytes = await preflightSources(plan, env);
      return `${plan.fileSets.map(({ name }) => name).join(', ') || 'none'}: there and readable`;
    }),
    await tried(`${site}: space`, async () => {
      await preflightSpace(plan, bytes, env);
      return `${formatBytes(bytes)} to stage, and room for it`;
    }),
  );
  return findings;
}

async function checkRepository(plan: Plan, repository: RepositorySpec, ctx: Context, init: boolean): Promise<Finding> {
  const about = `${plan.site}: repository ${repository.name}`;
  const engine = engines[repository.engine];
  const away = livesElsewhere(repository, ctx.host);
  if (away && !repository.ssh) return ok(about, `on ${repository.host}, whose own config has it`);
  try {
    const tools = await engine.preflight(repository, ctx);
    attributesAreKept({ ...plan, repositories: [repository] }, ctx);
    await engine.accepts?.(repository, plan, ctx);
    try {
      await engine.open(repository, ctx);
    } catch (error) {
      if (!isFailure(error, 'RepositoryMissing')) throw error;
      if (!init || away)
        return warn(about, 'nothing is there yet; the first backup creates it, or do it now', 'holdfast check --init');
      await engine.init(repository, ctx);
      return ok(about, `${versions(tools)}created`);
    }
    return ok(about, `${versions(tools)}opens`);
  } catch (error) {
    return failed(about, error instanceof Error ? error.message : String(error));
  }
}

function versions(tools: Record<string, string>): string {
  const all = Object.entries(tools).map(([name, version]) => `${name} ${version}`);
  return all.length > 0 ? `${all.join(', ')}; ` : '';
}
