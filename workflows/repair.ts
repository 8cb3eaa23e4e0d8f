import { RepairInput } from '../src/core/inputs.js';
import type { Report } from '../src/core/report.js';
import { conduct } from './frame.js';
import { parseInput, Run } from './run.js';

/** Brings single missing or damaged pieces of a live site back from a snapshot. It holds the site: no backup runs meanwhile. */
export async function repair(raw: unknown): Promise<Report> {
  const input = parseInput(RepairInput, raw);
  const run = new Run('repair', input.site);
  return conduct(run, { workflow: 'repair', holds: true, reads: true }, async ({ steps, base }) => {
    const done = await run.step('repair', () =>
      steps.repair('Look for what is missing or damaged, and bring that alone back', {
        ...base,
        ...(input.from ? { from: input.from } : {}),
      }),
    );
    if (done.left === 0) return { outcome: 'completed', said: `${base.site}: ${done.said}` };
    return done.repaired > 0
      ? { outcome: 'partial', said: `PARTIAL: ${base.site}: ${done.said}` }
      : { outcome: 'failed', said: `${base.site}: ${done.said}; name another snapshot with --from` };
  });
}
