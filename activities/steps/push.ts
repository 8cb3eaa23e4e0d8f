import type { StepResult } from '../../src/core/report.js';
import type { PushInput } from '../api.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';

/** Sends what the application itself can send to one of its own remotes, and asks there whether it arrived. */
export const push = (deps: Deps) =>
  planned<PushInput, StepResult>(deps, 'push', async ({ remote }, { plan, ctx }) => {
    const to = appChecks[plan.app]?.push;
    // The plan's owner names remotes, nobody else.
    if (!to?.remotes(plan).includes(remote))
      throw ctx.fail('InvalidInput', `the config of ${plan.site} pushes to no remote ${remote}`);
    return { said: await to.run(plan, remote, ctx) };
  });
