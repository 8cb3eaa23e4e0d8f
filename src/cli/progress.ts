import type { PendingStep, Situation } from '../client/follow.js';
import { formatBytes } from '../core/durations.js';

/** Where a run stands, as one line. */
export function progressLine({ progress, pending, status }: Situation): string {
  if (!progress)
    return pending.length > 0 ? pending.map(stepText).join('   ') : `${status.toLowerCase()}; no worker answers`;
  const app = progress.app === 'unknown' ? '' : `   application ${progress.app}`;
  const waits = progress.waitsFor ? `   waits for ${progress.waitsFor}` : '';
  return `${pending.length > 0 ? pending.map(stepText).join('   ') : progress.step}${app}${waits}`;
}

/** What changes only when something happens: a pipe gets one line for each. */
export function eventKey({ progress, pending }: Situation): string {
  const steps = pending.map(({ name, attempt, waiting }) => `${name}/${attempt}/${waiting && attempt === 1}`);
  return JSON.stringify([progress?.step, progress?.app, progress?.waitsFor, steps.sort()]);
}

function stepText({ name, attempt, waiting, lastFailure, beat }: PendingStep): string {
  const bytes =
    beat?.bytes === undefined
      ? ''
      : ` ${formatBytes(beat.bytes)}${beat.totalBytes ? ` of ${formatBytes(beat.totalBytes)}` : ''}`;
  const again = attempt > 1 && lastFailure ? ` (attempt ${attempt}: ${lastFailure})` : '';
  return `${name}${bytes}${waiting && attempt === 1 ? ' (waits for a worker)' : ''}${again}`;
}
