import type { RepositoryReport } from '../src/core/report.js';
import type { Frame } from './frame.js';
import { explain } from './run.js';

/**
 * Stores what was captured before a change as a safety snapshot: after the application is up, and without a say in the run's
 * outcome, because the change is made. `latest` never takes one; retention keeps it for 7 days.
 */
export async function storeSafety({ run, steps, prepared, base }: Frame, captureId: string): Promise<void> {
  // One on another machine would need its part in this run; it has the backups, and this one is for the moment.
  const entries: RepositoryReport[] = prepared.repositories
    .filter(({ host }) => host === undefined)
    .map(({ name, engine, offsite }) => ({ repository: name, engine, offsite }));
  run.report.repositories = entries;
  const ended = await Promise.allSettled(
    entries.map(async (entry) => {
      const { repository } = entry;
      const name = entries.length > 1 ? `store (${repository})` : 'store';
      const stored = await run.step(name, () =>
        steps.store(`Store the state from before in ${repository}`, { ...base, captureId, repository }),
      );
      const { snapshot, addedBytes, files, bytes } = stored;
      Object.assign(entry, { snapshot: snapshot.id, level: 'stored', addedBytes, files, bytes });
    }),
  );
  for (const end of ended) {
    if (end.status === 'fulfilled') continue;
    const { type, message } = explain('store', base.host, end.reason);
    if (type === 'Cancelled') throw end.reason;
    run.report.notes.push(`no safety snapshot: ${message}`);
  }
}
