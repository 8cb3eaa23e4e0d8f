import type { Level, StepFailure } from '../core/report.js';
import type { SiteState } from './reports.js';

/** All that is known of one site; gathered by `gatherStatus`, judged here without looking at anything else. */
export interface SiteFacts {
  /** `cms`, or `cms@web1`. */
  site: string;
  app: string;
  /** `local`: a directory of the site's own machine. */
  repositories: { name: string; offsite: boolean; local?: boolean }[];
  objectives: { maxAgeMs?: number; maxDowntimeMs?: number; maxProofAgeMs?: number };
  /** The backup's cron line, where the config has one. */
  cron?: { line: string; timezone: string };
  /** Absent where nobody could be asked: the site is elsewhere and Temporal away. */
  state?: SiteState;
  running: { id: string; workflow: string; startedAt: string; waitsFor?: string }[];
  /** The backup's schedule at Temporal; absent where there is none, or where Temporal is away. */
  schedule?: { next?: string; paused: boolean; note?: string };
}

/** What one repository has of a site. */
export interface Copy {
  repository: string;
  offsite: boolean;
  /** The instant that its newest snapshot shows; absent where it has none. */
  capturedAt?: string;
  level?: Level;
  /** Backups since then that did not get into it. */
  missed: number;
  /** Of the last one of these. */
  failure?: StepFailure;
}

export type SiteMark = 'x' | '!' | '?' | ' ';

export interface Concern {
  mark: SiteMark;
  text: string;
}

export interface SiteStatus {
  site: string;
  app: string;
  state: 'down' | 'at risk' | 'safe' | 'not scheduled' | 'cannot tell';
  downSince?: string;
  /** A run has stopped it, and for no longer than was to be expected. */
  stoppedSince?: string;
  running: SiteFacts['running'];
  /** The instant that the newest stored copy shows. */
  dataFrom?: string;
  copies: Copy[];
  proof?: { at: string; outcome: 'proven' | 'failed'; sample: string; rtoSeconds: number };
  /** Of the last backup. */
  downtimeMs?: number;
  maxDowntimeMs?: number;
  /** ISO time, or why there is none. */
  next: string | 'paused' | 'not applied' | 'no schedule' | 'unknown';
  concerns: Concern[];
}

export interface StatusModel {
  sites: SiteStatus[];
  /** Why Temporal could not be asked. */
  temporalAway?: string;
}
