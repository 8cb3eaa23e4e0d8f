import { formatBytes, formatDuration } from '../src/core/durations.js';
import type { Progress, Report } from '../src/core/report.js';

/** The run's page in the UI: Markdown that reads as a story. No path, no secret. */
export function details(report: Report, progress: Progress): string {
  const name = report.host === 'local' ? report.site : `${report.site}@${report.host}`;
  const to = report.repositories.map((entry) => entry.repository).join(', ');
  const lines = [`**${name}**${to ? ` → ${to}` : ''}${report.reason ? ` · ${report.reason}` : ''}`, ''];
  if (progress.outcome) lines.push(`**${progress.outcome.toUpperCase()}** ${report.said}`, '');
  else {
    const app =
      progress.app === 'unknown' ? '' : `; application **${progress.app}** since ${progress.since.slice(11, 19)} UTC`;
    lines.push(`now: **${progress.step}**${app}${progress.waitsFor ? `; waits for ${progress.waitsFor}` : ''}`, '');
  }
  if (report.steps.length > 0) {
    lines.push('| step | said | took |', '|---|---|---|');
    for (const step of report.steps) {
      lines.push(
        `| ${step.step} | ${cell(step.said)}${step.bytes ? ` (${formatBytes(step.bytes)})` : ''} | ${formatDuration(step.tookMs)} |`,
      );
    }
    lines.push('');
  }
  for (const failure of report.failures) lines.push(`- ✗ ${cell(failure.message)}`);
  for (const note of report.notes) lines.push(`- ${cell(note)}`);
  for (const left of report.uncovered) lines.push(`- not covered: ${cell(left)}`);
  if (report.downtimeMs !== undefined)
    lines.push(
      '',
      `down ${formatDuration(report.downtimeMs)}${report.hopMs === undefined ? '' : `, of which ${formatDuration(report.hopMs)} between steps`}`,
    );
  return lines.join('\n');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
