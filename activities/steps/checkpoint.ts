import type { StepResult } from '../../src/core/report.js';
import type { SectionInput } from '../api.js';
import { databases } from '../databases/index.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';

/** Folds each database's write-ahead log into the database, as far as its kind has one. */
export const checkpoint = (deps: Deps) =>
  planned<SectionInput, StepResult>(deps, 'checkpoint', async ({ epoch }, { plan, guard, ctx }) => {
    const { fence } = await guard.section(epoch, ctx);
    const said: string[] = [];
    for (const spec of plan.databases) {
      const done = await databases[spec.kind].checkpoint?.(spec, fence, ctx);
      if (done) said.push(done.said);
    }
    return { said: said.join('; ') || 'no database has a log to fold in' };
  });
