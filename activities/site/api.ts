import { z } from 'zod';
import { DatabaseSpec, ServiceSpecs } from '../../src/core/plan.js';
import type { Context, Fence } from '../contracts.js';

/**
 * The site record: one state machine for lock, lease and undo (design: "The site record").
 * `idle → held → stopped → held|idle`, and `revoked` while somebody else than the holder brings the application back.
 * `stopped` is on disk *before* the stop: it means "may be down from here on".
 */

export const Holder = z.strictObject({
  namespace: z.string(),
  namespaceId: z.string(),
  workflowId: z.string(),
  firstRunId: z.string(),
  workflow: z.string(),
});
export type Holder = z.infer<typeof Holder>;

/** What has to be undone before the application may start, last one first. Each is idempotent. */
export const UndoStep = z.discriminatedUnion('kind', [
  /**
   * What stands at `path` goes to a free name like `to`, unless `unless` exists. A restored database that ran leaves a WAL of its own:
   * beside the database from before it would be replayed into it. `unless` is where the restored database goes back to, after this.
   */
  z.strictObject({ kind: z.literal('clear'), path: z.string(), to: z.string(), unless: z.string() }),
  /** `from` was moved to `to`: moved back where `to` exists and `from` does not (what stands at `from` by then goes to `aside`). */
  z.strictObject({ kind: z.literal('rename'), from: z.string(), to: z.string(), aside: z.string().optional() }),
  /** What has appeared in the directory `path`, beside the names of `keep`, goes into the directory `to`, under free names. */
  z.strictObject({ kind: z.literal('sweep'), path: z.string(), to: z.string(), keep: z.array(z.string()) }),
  /** A database in a server was exchanged under this tag: the one put aside comes back. Needs nothing but this, its server and the spec's secrets. */
  z.strictObject({ kind: z.literal('database'), spec: DatabaseSpec, tag: z.string() }),
  /** A database in a server was loaded beside the live one under this tag, before an operation: it takes the live one's place, which goes aside. */
  z.strictObject({ kind: z.literal('bringIn'), spec: DatabaseSpec, tag: z.string() }),
]);
export type UndoStep = z.infer<typeof UndoStep>;

/** A process that can be told from a later one with the same pid. */
export const ProcessMark = z.strictObject({
  pid: z.int(),
  startTime: z.string(),
  bootId: z.string(),
  pidNamespace: z.string(),
});
export type ProcessMark = z.infer<typeof ProcessMark>;

export const SiteRecord = z.strictObject({
  schema: z.literal(1),
  site: z.string(),
  phase: z.enum(['idle', 'held', 'stopped', 'revoked']),
  epoch: z.int(),
  holder: Holder.optional(),
  worker: ProcessMark.optional(),
  /** Frozen copies of the services, so that the watchdog needs neither config nor Temporal. */
  services: ServiceSpecs.default([]),
  /** Per service name: units that ran before we came. Only observed where no record exists; inherited ever after. */
  prior: z.record(z.string(), z.array(z.string())).optional(),
  undo: z.array(UndoStep).default([]),
  /** Milliseconds of the boot clock of `bootId`. Another boot id means expired. */
  bootId: z.string().optional(),
  deadline: z.number().optional(),
  cap: z.number().optional(),
  /** Wall clock, for people: when the stop began, when the application was healthy again. */
  downAt: z.string().optional(),
  upAt: z.string().optional(),
  /** Why the section was revoked, as the report says it. */
  revokedFor: z.string().optional(),
  /** Why the last attempt to bring the application up failed, for people; gone once it is up. */
  failed: z.strictObject({ at: z.string(), said: z.string() }).optional(),
  /** The longest stop timeout of the services: how long ensureUp goes on looking after a start. */
  stopTimeoutMs: z.number().default(60_000),
  /** The section's epoch that its holder is bringing up (ensureUp `finish`): a retry goes on with it, and no undo is replayed. */
  finishes: z.int().optional(),
  /** Boot clock until which a stop that was killed may still take effect: the watchdog looks again and starts again. */
  lookUntil: z.number().optional(),
});
export type SiteRecord = z.infer<typeof SiteRecord>;

export interface Section {
  epoch: number;
  fence: Fence;
  /** Units that ran before, per service: what to stop, and what to start again. */
  prior: Record<string, string[]>;
  downAt: string;
}

/** How long a section lives without a renewal. */
export const DEADLINE_MS = 60_000;

export interface Up {
  downAt?: string;
  upAt: string;
  /** Whether this call started it; false where another one did, or where it was up. */
  started: boolean;
  /** Why the section had been revoked, and its undo list replayed, before it was finished: a restore is not in place then. */
  revokedFor?: string;
}

export interface SiteGuard {
  read(): Promise<SiteRecord>;
  /** idle → held; the same holder re-enters. Anything else answers with who has it: the caller asks Temporal about that run. */
  hold(
    holder: Holder,
  ): Promise<
    { held: true } | { held: false; by: Holder; phase: SiteRecord['phase']; expired: boolean; locked: boolean }
  >;
  /** Brings the application up, then gives the site to `holder`. Only after the caller knows that the old run is closed (or unknown, with `expired` and not `locked`). Throws SiteBusy where meanwhile another one than `from` has it. */
  takeOver(holder: Holder, ctx: Context, from?: Holder): Promise<void>;
  /**
   * held → stopped, before the stop: observes `prior` where there is none, raises the epoch, writes deadline, cap and worker, then waits
   * for the watchdog's acknowledgement of this epoch (WatchdogMissing after 10 s; the record goes back to held).
   * The same holder calling again in a live section of its own gets that section again.
   */
  arm(holder: Holder, options: { services: SiteRecord['services']; capMs: number }, ctx: Context): Promise<Section>;
  /** The live section of this epoch. Throws SectionRevoked where the epoch has moved on. */
  section(epoch: number, ctx: Context): Promise<Section>;
  /** Slides the deadline; throws SectionRevoked. Steps of the section call it with each beat. */
  renew(epoch: number, ctx: Context): Promise<void>;
  /** Adds to the undo list, durable before it returns; throws SectionRevoked. */
  addUndo(epoch: number, steps: UndoStep[], ctx: Context): Promise<void>;
  /** `mv from to` under the site's lock and only at this epoch (a program of ours, so that a frozen worker cannot do it late). */
  commit(epoch: number, from: string, to: string, ctx: Context): Promise<void>;
  /**
   * The one way up, for the start step (`finish`: the holder's own section, undo list kept until healthy), and for everybody else (`recover`:
   * end recorded groups, take the lock, raise the epoch, replay the undo list backwards, start what ran before). Returns when healthy.
   * Throws StartFailed or NotHealthy when it is not up within `withinMs`; the record stays `stopped`/`revoked`, so that the watchdog goes on.
   */
  ensureUp(
    mode: 'finish' | 'recover',
    options: { epoch?: number; withinMs: number; why?: string },
    ctx: Context,
  ): Promise<Up>;
  /** held → idle, by its holder only; brings the application up first where it is not. Does nothing where another one holds it. */
  release(holder: Holder, ctx: Context): Promise<void>;
}

/** Paths in the state directory: one place. */
export interface StateDir {
  root: string;
  /** Creates what lacks (0700), returns paths. `site` is the site's name. */
  site(site: string): {
    dir: string;
    record: string;
    recordLock: string;
    /** Held by every tool of the stopped section, and by whoever raises the epoch. */
    fenceLock: string;
    epoch: string;
    ack: string;
  };
  /** Tool groups journalled before exec: one file per group. */
  groups: string;
  plans: string;
  /** Stable staging path of a site: engines need the same path each time to find their parent snapshot. */
  staging(site: string): string;
  captures(site: string): string;
  reports(site: string): string;
  proofs(site: string): string;
  logs: string;
  work: string;
  hostId: string;
  watchdog: string;
  /** What the watchdog did, one JSON object per line. */
  events: string;
}
