import type { HookName } from '../../src/core/plan.js';
import type { StepResult } from '../../src/core/report.js';
import type { StepInput } from '../api.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';
import { runHook } from '../tools/hook.js';

/** Runs one hook of the config. */
export const hook = (deps: Deps) =>
  planned<StepInput & { hook: HookName; outcome?: string }, StepResult & { skip: boolean }>(
    deps,
    'hook',
    async (input, { plan, holder, ctx }) => {
      const command = plan.hooks[input.hook];
      if (!command) return { said: `no hook ${input.hook}`, skip: false };
      const facts = { site: plan.site, run: holder.workflowId, workflow: holder.workflow, outcome: input.outcome };
      return runHook(input.hook, command, facts, ctx);
    },
  );
