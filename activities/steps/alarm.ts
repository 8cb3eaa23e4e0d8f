import type { StepResult } from '../../src/core/report.js';
import type { AlarmInput } from '../api.js';
import type { Deps } from '../deps.js';
import { notifyAll } from '../notify/index.js';
import { planned } from '../step.js';

/** Tells people of something that cannot wait for the end of the run. */
export const alarm = (deps: Deps) =>
  planned<AlarmInput, StepResult>(deps, 'alarm', async (input, { plan, holder, ctx }) => {
    const notes = await notifyAll(
      plan.notify,
      input.event,
      { said: input.said, site: plan.site, host: deps.host, workflowId: holder.workflowId, workflow: holder.workflow },
      ctx,
    );
    for (const note of notes) ctx.note(note);
    return { said: notes.length === 0 ? `told of: ${input.said}` : `not everybody could be told: ${input.said}` };
  });
