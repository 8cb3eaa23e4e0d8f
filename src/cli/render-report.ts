import { formatBytes, formatDuration } from '../core/durations.js';
import { shortId } from '../core/names.js';
import type { Report, RepositoryReport } from '../core/report.js';

/** A finished run as lines for people; the first is the run's own sentence. */
export function renderReport(report: Report): string[] {
  const { said, outcome, repositories, failures, notes, uncovered } = report;
  const width = Math.max(0, ...repositories.map(({ repository }) => repository.length));
  return [
    outcome === 'completed' || said.toLowerCase().includes(outcome) ? said : `${outcome.toUpperCase()}: ${said}`,
    ...repositories.map((entry) => `  ${entry.repository.padEnd(width)}  ${copy(entry, report.captureId)}`),
    ...failures.flatMap(({ message, places = [] }) => [
      `  x ${message}`,
      ...places.filter((place) => !message.includes(place)).map((place) => `    ${place}`),
    ]),
    ...notes.map((note) => `  - ${note}`),
    ...uncovered.map((left) => `  ? not covered: ${left}`),
    `  ${report.workflowId}${took(report)}`,
  ];
}

function copy({ snapshot, level, read, bytes, addedBytes, failure }: RepositoryReport, captureId?: string): string {
  if (failure) return 'FAILED';
  return [
    (level ?? 'not stored') + (read === undefined ? '' : ` (${read})`),
    ...(snapshot ? [`snapshot ${shortId({ id: snapshot, captureId: captureId ?? snapshot })}`] : []),
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
    ...(addedBytes === undefined ? [] : [`+${formatBytes(addedBytes)}`]),
  ].join('  ');
}

function took({ startedAt, endedAt }: Report): string {
  return endedAt ? `  ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}` : '';
}
