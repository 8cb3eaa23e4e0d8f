import type { Report } from './report.js';

/** What an alarm may be told of: a run's start, its outcomes, and what `watch` and the watchdog see. */
export const EVENTS = [
  'started',
  'completed',
  'partial',
  'failed',
  'skipped',
  'cancelled',
  'down',
  'recovered',
  'proof-failed',
  'overdue',
] as const;
export type Event = (typeof EVENTS)[number];

/** What is told of an event: a report, or as much of one as there is in mid-run. */
export type Notice = Partial<Report> & Pick<Report, 'site' | 'host' | 'said'>;
