import { PruneInput } from '../src/core/inputs.js';
import type { Report } from '../src/core/report.js';
import { placeOf } from './elsewhere.js';
import { conduct } from './frame.js';
import { parseInput, Run } from './run.js';

/** Applies retention in each repository; it holds the site, so that a backup and a prune never meet. */
export async function prune(raw: unknown): Promise<Report> {
  const input = parseInput(PruneInput, raw);
  const run = new Run('prune', input.site);
  const ask = {
    workflow: 'prune',
    holds: true,
    reads: true,
    ...(input.repository ? { repositories: [input.repository] } : {}),
  };
  return conduct(run, ask, async (frame) => {
    const said: string[] = [];
    for (const { name, host, known, ...asked } of frame.prepared.repositories) {
      const { steps, base, part } = await placeOf(frame, name, host, 'prune');
      const prunes = part ? part.prunes : asked.prunes;
      const pruned = await run.step('prune', () =>
        steps.prune(prunes ? `Keep ${prunes} in ${name}` : `Keep everything in ${name}`, {
          ...base,
          repository: name,
          dryRun: input.dryRun,
          allow: input.allow,
          ...(known ? { known } : {}),
        }),
      );
      said.push(`${name}: ${pruned.said}`);
      if (pruned.refused) run.report.notes.push(`${name}: ${pruned.refused}`);
    }
    return { outcome: 'completed', said: said.join('; ') };
  });
}
