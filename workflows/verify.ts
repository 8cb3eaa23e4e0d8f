import { VerifyInput } from '../src/core/inputs.js';
import type { Report } from '../src/core/report.js';
import { placeOf, proverOf } from './elsewhere.js';
import { conduct } from './frame.js';
import { parseInput, Run } from './run.js';

/** Verifies the newest snapshot in each repository: listing against manifest, databases read back, the engine's own check. */
export async function verify(raw: unknown): Promise<Report> {
  const input = parseInput(VerifyInput, raw);
  const run = new Run('verify', input.site);
  const ask = {
    workflow: 'verify',
    holds: false,
    reads: true,
    ...(input.repository ? { repositories: [input.repository] } : {}),
  };
  return conduct(run, ask, async (frame) => {
    let live: string | undefined;
    for (const repository of frame.prepared.repositories) {
      const { name, engine, offsite } = repository;
      const entry: Report['repositories'][number] = { repository: name, engine, offsite };
      run.report.repositories.push(entry);
      try {
        const { steps, base } = await placeOf(frame, name, proverOf(repository), 'verify');
        const verified = await run.step('verify', () =>
          steps.verify(`Verify ${name}`, { ...base, repository: name, depth: input.depth }),
        );
        const { level = 'verified', read, damage } = verified;
        Object.assign(entry, { snapshot: verified.snapshot.id, level, ...(read === undefined ? {} : { read }) });
        if (damage !== undefined) {
          live = damage;
          run.report.failures.push({ step: 'verify', type: 'VerifyFailed', message: damage });
        }
        run.report.captureId = verified.snapshot.captureId;
      } catch (error) {
        entry.failure = run.failed('verify', error, name, proverOf(repository));
        if (entry.failure.type === 'Cancelled') throw error;
      }
    }
    const failed = run.report.repositories.filter((entry) => entry.failure).map((entry) => entry.repository);
    const total = run.report.repositories.length;
    if (live !== undefined) {
      const stored = failed.length === 0 ? 'what is stored is good' : `${failed.join(', ')} did not verify`;
      return { outcome: 'failed', said: `THE LIVE SITE IS DAMAGED, ${stored}: ${live}` };
    }
    if (failed.length === 0)
      return { outcome: 'completed', said: `${total} ${total === 1 ? 'repository' : 'repositories'} verified` };
    return failed.length < total
      ? { outcome: 'partial', said: `PARTIAL: ${failed.join(', ')} did not verify` }
      : { outcome: 'failed', said: run.report.failures[0]?.message ?? 'nothing verified' };
  });
}
