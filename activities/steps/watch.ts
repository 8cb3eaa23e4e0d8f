import { gatherFacts } from '../../src/config/facts.js';
import { derivePlan } from '../../src/config/plan.js';
import { formatDuration } from '../../src/core/durations.js';
import { LEVELS, type StepResult } from '../../src/core/report.js';
import type { Deps } from '../deps.js';
import { notifyAll } from '../notify/index.js';
import { readProofs, readReports } from '../reports.js';
import { step } from '../step.js';
import { findSite } from './find-site.js';
import { canRead } from './repository-of.js';

/** Compares what this host knows to be verified and proven with the site's objectives, and tells people what is overdue. */
export const watch = (deps: Deps) =>
  step<{ site: string; host: string }, StepResult & { overdue: string[] }>(deps, 'watch', async ({ site }, env) => {
    const { ctx, holder } = env;
    const config = await findSite(site, env);
    const plan = derivePlan(config, site, await gatherFacts('/nonexistent'), { host: deps.host });
    const { maxAgeMs, maxProofAgeMs } = plan.objectives;
    const overdue: string[] = [];
    const late = (what: string, at: string | undefined, max: number | undefined) => {
      if (max === undefined) return;
      if (at === undefined) overdue.push(`there is no ${what}`);
      else if (Date.now() - Date.parse(at) > max)
        overdue.push(
          `the newest ${what} is ${formatDuration(Date.now() - Date.parse(at))} old, more than ${formatDuration(max)}`,
        );
    };
    const reports = await readReports(deps.state, site);
    const proofs = (await readProofs(deps.state, site)).filter((proof) => proof.outcome === 'proven');
    for (const repository of plan.repositories) {
      const { name } = repository;
      // Where the key is elsewhere nothing is ever verified here: stored is the most that this host can know.
      const enough = canRead(repository) ? ['verified', 'proven'] : LEVELS;
      const good = reports.findLast(
        (report) =>
          report.workflow === 'backup' &&
          report.repositories.some(
            (entry) => entry.repository === name && enough.some((level) => level === entry.level),
          ),
      );
      late(`verified backup in ${name}`, good?.capturedAt, maxAgeMs);
      late(`proof of ${name}`, proofs.findLast((proof) => proof.repository === name)?.provenAt, maxProofAgeMs);
    }
    const lastThree = reports.filter((report) => report.workflow === 'backup').slice(-3);
    if (lastThree.length === 3 && lastThree.every((report) => report.outcome === 'skipped'))
      overdue.push('the last three backups were skipped');
    if (overdue.length > 0) {
      const said = `${site}: ${overdue.join('; ')}`;
      const notes = await notifyAll(
        plan.notify,
        'overdue',
        { said, site, host: deps.host, workflowId: holder.workflowId, workflow: 'watch' },
        ctx,
      );
      for (const note of notes) ctx.note(note);
    }
    return { said: overdue.length === 0 ? 'all objectives are met' : overdue.join('; '), overdue };
  });
