import type { Outcome } from '../core/report.js';

/** Exit codes of the command: the one table. Scripts rely on them; they are only ever added to. `status` answers another question: see `statusExit`. */
export const EXIT = {
  completed: 0,
  failed: 1,
  /** Usage, config or input: nothing was started. */
  usage: 2,
  partial: 3,
  skipped: 4,
  waits: 5,
  /** The application is down: beats every other outcome. */
  down: 6,
  temporalAway: 7,
  noWorker: 8,
  /** Ctrl-C detached; the run goes on. */
  detached: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_OUTCOME: Record<Outcome, ExitCode> = {
  completed: EXIT.completed,
  partial: EXIT.partial,
  failed: EXIT.failed,
  skipped: EXIT.skipped,
  cancelled: EXIT.failed,
};

/** Exit code of a finished run. */
export function exitOf(outcome: Outcome, failureTypes: readonly string[] = []): ExitCode {
  if (failureTypes.includes('ApplicationDown')) return EXIT.down;
  if (outcome === 'failed' && failureTypes.includes('NoWorker')) return EXIT.noWorker;
  if (outcome === 'failed' && failureTypes.some((type) => USAGE_FAILURES.has(type))) return EXIT.usage;
  return BY_OUTCOME[outcome];
}

const USAGE_FAILURES = new Set([
  'InvalidInput',
  'InvalidConfig',
  'UnknownSite',
  'UnknownRepository',
  'UnknownOperation',
]);
