import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freezePlan } from '../../src/config/freeze.js';
import { loadConfig } from '../../src/config/load.js';
import { derivePlan } from '../../src/config/plan.js';
import type { Config } from '../../src/config/schema.js';
import { isFailure } from '../../src/core/failures.js';
import { NAME } from '../../src/core/names.js';
import { livesElsewhere, type Plan, type RepositorySpec } from '../../src/core/plan.js';
import type { StepResult } from '../../src/core/report.js';
import type { Part, PartInput, StepInput } from '../api.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { writeDurable } from '../site/durable.js';
import { type Env, planned, step } from '../step.js';
import { clearTrees } from '../trees.js';
import { keepText } from './keep-text.js';

/**
 * Freezes this host's part of another host's run: its own config says that it may take part, where the repository is, how the
 * site is pulled, what is kept. The input only names things (design: "Each host of a run freezes its own part").
 */
export const part = (deps: Deps) =>
  step<PartInput, Part>(deps, 'part', async (input, env) => {
    const { ctx } = env;
    // It becomes part of a path there.
    if (!NAME.test(input.of.site)) throw ctx.fail('InvalidInput', 'the name of the site is none');
    const [config, name] = await findPart(input, env);
    const whole = derivePlan(config, name, { entries: [], volumes: [] }, { host: deps.host });
    const repository = whole.repositories.find((each) => each.name === input.repository);
    if (!repository || livesElsewhere(repository, deps.host))
      throw ctx.fail('UnknownRepository', `site ${name} has no repository ${input.repository} here`, {
        advice: `write it in the config of ${deps.host}`,
      });
    if (input.workflow === 'backup' && !whole.pull)
      throw ctx.fail('InvalidConfig', `the config does not say where site ${name} is pulled from`, {
        advice: `write \`pull\` for it in the config of ${deps.host}`,
      });
    const plan: Plan = { ...whole, of: input.of, repositories: [repository] };
    await engines[repository.engine].preflight(repository, ctx);
    await open(plan, repository, input.workflow === 'backup', env);
    const digest = await freezePlan(deps.state.plans, plan);
    return {
      said: `Plan ${digest.slice(0, 4)}; repository ${repository.name} is ready`,
      site: name,
      plan: digest,
      hostId: deps.hostId,
      prunes: repository.appendOnly ? '' : keepText(repository.keep),
      boots: plan.restoreTest.boot && appChecks[plan.app]?.boot !== undefined,
    };
  });

/** Ends this host's part: what it fetched goes. */
export const leave = (deps: Deps) =>
  planned<StepInput, StepResult>(deps, 'leave', async (_input, { plan, holder }) => {
    await clearTrees(deps.state, plan.site, holder);
    return { said: 'nothing of this run is left here' };
  });

/** The site as this host's config calls it: found by its host and its stable id, as two hosts may have a site of one name. */
async function findPart({ of, siteId, app }: PartInput, { deps, ctx }: Env): Promise<[Config, string]> {
  const bare = await loadConfig(deps.configPath, { look: 'nothing', host: deps.host, step: ctx.step });
  const found = Object.entries(bare.sites).find(([name, { host, id }]) => host === of.host && (id ?? name) === siteId);
  if (!found)
    throw ctx.fail('UnknownSite', `no site of host ${of.host} here has the id ${siteId}`, {
      advice: `write it in the config of ${deps.host}, with \`host: ${of.host}\` and that id`,
    });
  const [name, site] = found;
  if (site.app !== app)
    throw ctx.fail('InvalidConfig', `site ${name} is ${app} on ${of.host}, and ${site.app} here`, {
      advice: 'make the two configs agree',
    });
  return [await loadConfig(deps.configPath, { site: name, host: deps.host, step: ctx.step }), name];
}

/** Creates a repository that never was; one that was there before is lost or not mounted, and a new one would hide that. */
async function open(plan: Plan, repository: RepositorySpec, mayCreate: boolean, { deps, ctx }: Env): Promise<void> {
  const engine = engines[repository.engine];
  const known = join(deps.state.site(plan.site).dir, `known-${repository.name}`);
  try {
    await engine.open(repository, ctx);
  } catch (error) {
    if (!mayCreate || !isFailure(error, 'RepositoryMissing')) throw error;
    if ((await readFile(known, 'utf8').catch(() => '')) === repository.location) throw error;
    await engine.init(repository, ctx);
    ctx.note(`repository ${repository.name} was created`);
  }
  await writeDurable(known, repository.location);
}
