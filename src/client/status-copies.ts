import type { Level, Report } from '../core/report.js';
import type { Copy, SiteFacts } from './status-facts.js';

/** The state of each repository of the config, from the reports of the backups. */
export function copiesOf({ repositories, state }: Pick<SiteFacts, 'repositories' | 'state'>): Copy[] {
  const backups = state?.reports.filter(({ workflow, endedAt }) => workflow === 'backup' && endedAt) ?? [];
  return repositories.map(({ name, offsite }) => copyIn(name, offsite, backups, state?.reports ?? []));
}

function copyIn(repository: string, offsite: boolean, backups: Report[], reports: Report[]): Copy {
  const entryOf = (report: Report) => report.repositories.find((entry) => entry.repository === repository);
  const at = backups.findLastIndex((report) => entryOf(report)?.level !== undefined && report.capturedAt);
  const last = backups[at];
  const later = backups.slice(at + 1).filter((report) => entryOf(report) || missesAll(report));
  const failed = later.at(-1);
  const failure = failed && (entryOf(failed)?.failure ?? failed.failures[0]);
  const entry = last && entryOf(last);
  const level = entry && levelNow(entry.snapshot, entry.level, reports);
  return {
    repository,
    offsite,
    missed: later.length,
    ...(last?.capturedAt ? { capturedAt: last.capturedAt } : {}),
    ...(level ? { level } : {}),
    ...(failure ? { failure } : {}),
  };
}

/** A run that failed before it had anything to store concerns every repository; one that was skipped or cancelled, none. */
function missesAll(report: Report): boolean {
  return report.outcome === 'failed' && report.repositories.length === 0;
}

/** A later verify or restore test may have raised the level of a snapshot. */
function levelNow(snapshot: string | undefined, level: Level | undefined, reports: Report[]): Level | undefined {
  const rank = { stored: 0, verified: 1, proven: 2 };
  const later = reports
    .flatMap((report) => report.repositories)
    .filter((entry) => entry.snapshot === snapshot && entry.level)
    .map((entry) => entry.level as Level);
  return [...later, ...(level ? [level] : [])].sort((a, b) => rank[b] - rank[a])[0];
}
