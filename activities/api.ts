import type { HostFindings } from '../src/core/findings.js';
import type { BackupInput, RestoreInput, RestoreTestInput } from '../src/core/inputs.js';
import type { Snapshot } from '../src/core/manifest.js';
import type { HookName } from '../src/core/plan.js';
import type { Check, Report, StepResult } from '../src/core/report.js';

/**
 * The steps as workflows see them: types only, so that a workflow bundle holds no machine code. Each takes one object
 * and returns one small object; artifacts stay on the host and are named by the capture, the plan's digest and the site.
 */

/** What every step after `prepare` gets: the site, its host (queue, name and random id), and the frozen plan's digest. */
export interface StepInput {
  site: string;
  host: string;
  hostId: string;
  plan: string;
}

export interface PrepareInput {
  site: string;
  host: string;
  workflow: string;
  /** Only these; unknown names are refused. */
  repositories?: string[];
  /** The run stops the application or changes the repositories: it takes the site's lock. */
  holds: boolean;
  /** A restore reads: the application may be a wreck, so its sources are not looked at. */
  reads?: boolean;
  /** Name below `restore.root`. */
  target?: string;
  /** Of a guarded change: one that the config names. */
  operation?: string;
  /** What the input asks for: an engine that has no such level refuses it. */
  level?: BackupInput['level'];
}

/** Ids of snapshots whose verification passed, and of those that a restore test proved. */
export interface Known {
  verified: string[];
  proven: string[];
}

export interface Prepared extends StepResult {
  plan: string;
  hostId: string;
  siteId: string;
  app: string;
  repositories: {
    name: string;
    engine: string;
    offsite: boolean;
    prunes: string;
    /** The other machine that it is on. */
    host?: string;
    /** The other machine that has its key. */
    proveOn?: string;
    /** What this host's reports and proofs say of its snapshots, where another one keeps them: the newest of each. */
    known?: Known;
  }[];
  services: string[];
  databases: string[];
  /** Whether a stopped section is needed; a site that is backed up online has none. */
  stops: boolean;
  /** Mutable file sets exist, so that a pass before the stop makes the one inside it short. */
  warm: boolean;
  boots: boolean;
  /** The application has something to say when a repository has taken the capture. */
  confirms?: boolean;
  /** Remotes that the application pushes to after a backup. */
  pushes?: string[];
  hooks: HookName[];
  limits: { startMs: number; storeMs: number; pickupMs?: number };
  approval: 'required' | 'input';
  uncovered: string[];
  /** Of a guarded change. */
  operation?: { writes: 'held' | 'open' };
  /** Another run of the same kind has the site: this one ends as skipped. */
  heldBy?: string;
}

/** A host's part of another one's run: its own config has the site, under that host and id. */
export interface PartInput {
  site: string;
  host: string;
  of: { site: string; host: string };
  siteId: string;
  app: string;
  workflow: string;
  repository: string;
}

export interface Part extends StepResult {
  /** What this host calls the site: the steps that follow name it so. */
  site: string;
  plan: string;
  hostId: string;
  prunes: string;
  boots: boolean;
}

export interface CaptureInput extends StepInput {
  captureId: string;
}

export interface SectionInput extends CaptureInput {
  epoch: number;
}

export interface Stopped extends StepResult {
  epoch: number;
}

export interface Captured extends StepResult {
  capturedAt: string;
}

export interface StartInput extends StepInput {
  /** Absent: whatever state the site is in, bring it up (after a section was revoked). */
  epoch?: number;
  /** Replays the undo list backwards before the start: the state from before comes back. */
  rollBack?: boolean;
}

export interface Started extends StepResult {
  /** False where it was asked to start but is not healthy within the step's patience; it is asked again. */
  up: boolean;
  /** Somebody else than the section's holder brought it up: its undo list was replayed, so a restore is not in place. */
  rolledBack: boolean;
  /** Of all sections of this run together; so far, where it is not up. */
  downtimeMs: number;
  sections: number;
}

export interface StoreInput extends CaptureInput {
  repository: string;
}

export interface Stored extends StepResult {
  snapshot: Snapshot;
  addedBytes: number;
  files: number;
}

export interface VerifyInput extends StepInput {
  repository: string;
  /** Absent: the newest. */
  snapshot?: string;
  /** What the store step has just made: it need not be looked up. */
  known?: Snapshot;
  depth: 'structure' | 'sample' | 'full';
}

export interface Verified extends StepResult {
  snapshot: Snapshot;
  /** `stored` where this host does not have the key that reads it back. */
  level: 'stored' | 'verified';
  /** How much of the repository's data was read, in words. */
  read?: string;
  /** What is wrong with the live site, with what to do: no fault of the repository. */
  damage?: string;
}

export interface PruneInput extends StepInput {
  repository: string;
  dryRun: boolean;
  allow: ('shrunk' | 'most')[];
  /** What the site's host knows of its snapshots, where this is another one. */
  known?: Known;
  /** What this run has verified: its report is not written yet. */
  verified?: string;
  verifyFailed?: boolean;
  /** The source as this run stored it. */
  source?: { files: number; bytes: number };
}

export interface Pruned extends StepResult {
  removed: number;
  kept: number;
  /** Which gate stayed closed. */
  refused?: string;
}

export interface FetchInput extends StepInput {
  snapshot: string;
  /** Where the databases come from, if not from `snapshot`. */
  databaseSnapshot?: string;
  /** What the site's host knows of its snapshots, where this is another one. */
  known?: Known;
  /** The site that it was, where another host's comes back here. */
  from?: { site: string; host: string };
  repository?: string;
  target?: string;
  only?: RestoreInput['only'];
  /** `scratch` for a restore test, `target` for a new directory, `beside` for a restore in place. */
  into: 'scratch' | 'target' | 'beside';
}

export interface Fetched extends StepResult {
  snapshot: Snapshot;
  /** Where the databases came from, if not from `snapshot`. */
  databaseSnapshot?: Snapshot;
  repository: string;
  capturedAt: string;
  /** Rows per table and files per set, now → then: what a person reads before approving. */
  changes: string[];
}

export interface RepairInput extends StepInput {
  /** A repository or a snapshot; absent: the newest proven snapshot, else the newest verified one. */
  from?: string;
}

export interface Repaired extends StepResult {
  repaired: number;
  left: number;
  snapshot?: string;
  repository?: string;
}

/** A remote that the site's own options name. */
export interface PushInput extends StepInput {
  remote: string;
}

export interface RestoredInput extends StepInput {
  snapshot: string;
  repository: string;
  only?: RestoreInput['only'];
}

export interface SwapInput extends RestoredInput {
  epoch: number;
}

export interface Swapped extends StepResult {
  /** Databases that a person has to import: nothing here could. */
  byHand?: string[];
}

export interface CheckInput extends RestoredInput {
  full: RestoreTestInput['full'];
  boot: boolean;
}

export interface Checked extends StepResult {
  checks: Check[];
  sample: string;
  /** What was fetched is not this run's own: it was reset, and fetches again. */
  gone?: true;
}

export interface StopInput extends CaptureInput {
  workflow: string;
  /** A guarded change holds the application down for as long as its operation and its checks may take, too. */
  operation?: string;
  /** Sections that a person asked for in mid-run, beyond those that a run has of its own. */
  more?: number;
}

export interface ShelterInput extends CaptureInput {
  operation: string;
  /** Names what lies beside the site, in a run that was reset as before. */
  changeId: string;
  epoch?: number;
  /** Writes are held: whoever recovers the section brings this state back. */
  undo: boolean;
}

export interface OperateInput extends StepInput {
  operation: string;
  /** Names this change in the journal, so that nobody does it twice. */
  changeId: string;
  epoch?: number;
}

export interface Operated extends StepResult {
  /** `unknown`: it was ended in the middle, or nobody saw its end. */
  verdict: 'done' | 'failed' | 'unknown';
  /** This run was reset after the operation had begun: nothing was done now, and the shelter of now knows nothing of what was done then. */
  before?: boolean;
}

export interface ExamineInput extends StepInput {
  operation: string;
  epoch?: number;
}

export interface Examined extends StepResult {
  /** `failed`: each of three times. `unclear`: it could not look. */
  verdict: 'passed' | 'failed' | 'unclear';
}

export interface TurnInput extends StepInput {
  operation: string;
  changeId: string;
  epoch: number;
  /** The state from before the operation, or the one that it left. */
  to: 'before' | 'after';
}

export interface AskInput extends StepInput {
  operation: string;
  changeId: string;
  said: string;
  /** Which of the two states the application runs on. */
  running: 'before' | 'after';
}

export interface Asked extends StepResult {
  /** Rows per table and files per set, now → then: what a rollback would take away. */
  changes: string[];
  /** What it left cannot be put back by itself any more: why. */
  lost?: string;
}

export interface Chosen extends StepResult {
  /** As `parseAddress` takes them. */
  sites: string[];
}

export interface FinishInput extends Pick<StepInput, 'site' | 'host'> {
  /** Absent where `prepare` failed: there is no frozen plan then. */
  hostId?: string;
  plan?: string;
  report: Report;
  /** Whether the run took the site's lock. */
  held: boolean;
}

export interface AlarmInput extends StepInput {
  event: 'started' | 'down' | 'recovered';
  said: string;
}

/** Runs on the queue of the site's host that must never wait. */
export interface HostSteps {
  prepare(input: PrepareInput): Promise<Prepared>;
  hook(input: StepInput & { hook: HookName; outcome?: string }): Promise<StepResult & { skip: boolean }>;
  stop(input: StopInput): Promise<Stopped>;
  checkpoint(input: SectionInput): Promise<StepResult>;
  dump(input: CaptureInput & { epoch?: number }): Promise<Captured>;
  swap(input: SwapInput): Promise<Swapped>;
  shelter(input: ShelterInput): Promise<StepResult>;
  operate(input: OperateInput): Promise<Operated>;
  examine(input: ExamineInput): Promise<Examined>;
  turn(input: TurnInput): Promise<StepResult>;
  ask(input: AskInput): Promise<Asked>;
  choose(input: { host: string; app?: string }): Promise<Chosen>;
  start(input: StartInput): Promise<Started>;
  part(input: PartInput): Promise<Part>;
  leave(input: StepInput): Promise<StepResult>;
  alarm(input: AlarmInput): Promise<StepResult>;
  finish(input: FinishInput): Promise<StepResult>;
  check(input: HostCheckInput): Promise<HostChecked>;
  watch(input: { site: string; host: string }): Promise<StepResult & { overdue: string[] }>;
}

export interface HostCheckInput {
  /** Names the log; a check of all sites has a name that no site has. */
  site: string;
  host: string;
  /** Only this site. */
  only?: string;
  init: boolean;
}

export interface HostChecked extends StepResult, HostFindings {}

/** Runs on the queue of the host for what takes long. */
export interface TransferSteps {
  warm(input: CaptureInput): Promise<StepResult>;
  store(input: StoreInput): Promise<Stored>;
  seal(input: CaptureInput): Promise<StepResult>;
  confirm(input: CaptureInput): Promise<StepResult>;
  verify(input: VerifyInput): Promise<Verified>;
  prune(input: PruneInput): Promise<Pruned>;
  fetch(input: FetchInput): Promise<Fetched>;
  prove(input: CheckInput): Promise<Checked>;
  repair(input: RepairInput): Promise<Repaired>;
  push(input: PushInput): Promise<StepResult>;
}
