import { z } from 'zod';

/** What a run says of itself: steps, outcome and proof. Versioned, additive only. Times ISO 8601 UTC, durations ms. */

export const OUTCOMES = ['completed', 'partial', 'failed', 'skipped', 'cancelled'] as const;
export const Outcome = z.enum(OUTCOMES);
export type Outcome = z.infer<typeof Outcome>;

export const LEVELS = ['stored', 'verified', 'proven'] as const;
export const Level = z.enum(LEVELS);
export type Level = z.infer<typeof Level>;

/** What every step returns. `said` comes first: one sentence, no path, no secret. */
export const StepResult = z.object({
  said: z.string(),
  step: z.string(),
  host: z.string(),
  /** When the step began and ended on its host's clock. */
  startedAt: z.string(),
  endedAt: z.string(),
  tookMs: z.number(),
  bytes: z.number().optional(),
  notes: z.array(z.string()).default([]),
});
export type StepResult = z.infer<typeof StepResult>;

export const StepFailure = z.object({
  step: z.string(),
  repository: z.string().optional(),
  type: z.string(),
  message: z.string(),
  /** Where, as far as the step knew: the first places. */
  places: z.array(z.string()).optional(),
});
export type StepFailure = z.infer<typeof StepFailure>;

export const RepositoryReport = z.object({
  repository: z.string(),
  engine: z.string(),
  offsite: z.boolean().default(false),
  snapshot: z.string().optional(),
  level: Level.optional(),
  /** How much of the repository's data its verification read: `share 5 of 12 read`. */
  read: z.string().optional(),
  bytes: z.number().optional(),
  addedBytes: z.number().optional(),
  files: z.number().optional(),
  failure: StepFailure.optional(),
});
export type RepositoryReport = z.infer<typeof RepositoryReport>;

/** One check of a restore test: what was looked at, and what it showed. */
export const Check = z.object({
  name: z.string(),
  ok: z.boolean(),
  /** One sentence of evidence: `22 tables, 61 rows, as in the manifest`. */
  evidence: z.string(),
  /** Where it failed: at most 20 places. */
  places: z.array(z.string()).optional(),
});
export type Check = z.infer<typeof Check>;

export const Proof = z.object({
  schemaVersion: z.literal(1),
  site: z.string(),
  siteId: z.string(),
  host: z.string(),
  repository: z.string(),
  snapshot: z.string(),
  captureId: z.string(),
  capturedAt: z.string(),
  /** The snapshot that the databases were taken from: the pair was tried, which proves neither of them alone. */
  databaseSnapshot: z.string().optional(),
  provenAt: z.string(),
  outcome: z.enum(['proven', 'failed']),
  /** Share of the files' bytes that was read and compared: `1/12` or `1/1`. Databases are always read in full. */
  sample: z.string(),
  checks: z.array(Check),
  /** Restore time objective measured: seconds from asking to checked. */
  rtoSeconds: z.number(),
  workflowId: z.string(),
});
export type Proof = z.infer<typeof Proof>;

export const Report = z.object({
  schemaVersion: z.literal(1),
  workflow: z.string(),
  workflowId: z.string(),
  runId: z.string(),
  site: z.string(),
  siteId: z.string().optional(),
  app: z.string().optional(),
  host: z.string(),
  outcome: Outcome,
  /** First line for people: `cms backed up to nas, offsite; down 1.34 s`. */
  said: z.string(),
  reason: z.string().optional(),
  /** Of a guarded change: what it did, and whether the state from before is back. */
  operation: z.string().optional(),
  rolledBack: z.boolean().optional(),
  startedAt: z.string(),
  endedAt: z.string().optional(),
  captureId: z.string().optional(),
  capturedAt: z.string().optional(),
  /** Application down: from the stop's first instant to healthy, of all sections of the run together. */
  downtimeMs: z.number().optional(),
  sections: z.number().optional(),
  /** Time between the steps of the stopped section: Temporal's share of the downtime. */
  hopMs: z.number().optional(),
  repositories: z.array(RepositoryReport).default([]),
  steps: z.array(StepResult).default([]),
  failures: z.array(StepFailure).default([]),
  notes: z.array(z.string()).default([]),
  uncovered: z.array(z.string()).default([]),
  proof: Proof.optional(),
});
export type Report = z.infer<typeof Report>;

/** Answer of the query `progress`. */
export interface Progress {
  step: string;
  app: 'up' | 'down' | 'unknown';
  since: string;
  outcome?: Outcome;
  waitsFor?: string;
  /** The snapshot that an approval has to name. */
  approve?: string;
  /** What a person may decide: the actions of the update `decide`. */
  decide?: ('keep' | 'rollBack')[];
}
