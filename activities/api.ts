import type { BackupInput, PruneInput, RestoreInput, RestoreTestInput, VerifyInput } from '../src/core/inputs.js';
import type { Snapshot } from '../src/core/manifest.js';
import type { HookName } from '../src/core/plan.js';
import type { Check, Proof, Report, StepResult } from '../src/core/report.js';

/**
 * The steps, as workflows see them: types only. Each takes one object and returns one small object; artifacts stay on
 * the host. Names are prefixed in the worker's map only by their being ours: they run on queues of ours.
 */

/** Names the run and its frozen plan; every step after `prepare` takes it. */
export interface StepInput {
  site: string;
  host: string;
  /** Digest of the frozen plan on that host. */
  plan: string;
  hostId: string;
}

export interface PrepareInput {
  site: string;
  host: string;
  workflow: 'backup' | 'restore' | 'restoreTest' | 'verify' | 'prune';
  repositories?: string[];
  /** Whether the run may hold the application down, and so takes the site. */
  holds: boolean;
}

export interface Prepared extends StepResult {
  plan: string;
  hostId: string;
  siteId: string;
  app: string;
  repositories: { name: string; engine: string; offsite: boolean; prunes: boolean }[];
  services: string[];
  /** Whether a stopped section is needed at all (an online site has none). */
  stops: boolean;
  /** Mutable file sets exist: a warm pass before the stop pays. */
  warm: boolean;
  hooks: HookName[];
  limits: { startMs: number; storeMs: number; idleMs: number };
  approval: 'required' | 'input';
  uncovered: string[];
  /** Set where another run of the same kind holds the site: this one ends as skipped. */
  heldBy?: string;
  /** Set where the `condition` hook said "not now" (exit 75). */
  skip?: string;
}

export interface SectionInput extends StepInput {
  captureId: string;
  epoch: number;
}

export interface Stopped extends StepResult {
  epoch: number;
  downAt: string;
}

export interface Captured extends StepResult {
  capturedAt: string;
}

export interface Started extends StepResult {
  downtimeMs: number;
  /** Hops of the section: time that passed between steps. */
  upAt: string;
}

export interface RepositoryInput extends StepInput {
  repository: string;
}

export interface StoredResult extends StepResult {
  snapshot: Snapshot;
  addedBytes: number;
  files: number;
}

export interface PruneResult extends StepResult {
  removed: string[];
  kept: number;
  /** Which gate stayed closed, where nothing was removed. */
  refused?: string;
}

export interface RestorePrompt {
  site: string;
  snapshot: string;
  repository: string;
  capturedAt: string;
  /** Rows per table and files per set: now → then. */
  changes: string[];
}

export interface FetchedResult extends StepResult {
  snapshot: Snapshot;
  repository: string;
  prompt: RestorePrompt;
}

export type { BackupInput, Check, Proof, PruneInput, Report, RestoreInput, RestoreTestInput, VerifyInput };
