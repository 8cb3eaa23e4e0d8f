import type { Readable } from 'node:stream';
import type { Fingerprint, Manifest, Snapshot, SnapshotKind } from '../src/core/manifest.js';
import type { DatabaseSpec, Plan, RepositorySpec, ServiceSpec, SshSpec } from '../src/core/plan.js';
import type { Check } from '../src/core/report.js';

/**
 * The contracts of the parts. A part knows nothing of Temporal: it gets a Context, does its work through `ctx.run`,
 * and throws failures of the catalogue (`ctx.fail`). A new member is one file and one line in its folder's index.
 */

export interface RunOptions {
  /** Merged over a minimal environment (PATH, HOME, LANG=C.UTF-8, TZ=UTC); nothing else of the worker's is inherited. */
  env?: Record<string, string>;
  cwd?: string;
  input?: string | Readable;
  /** A file that the program has open as its descriptor 3 (see `handed` in tools/nameless.ts). */
  handed?: number;
  /** Exit codes that are no failure; default [0]. The caller reads `exitCode`. */
  ok?: number[];
  timeoutMs?: number;
  /** Ended when neither output nor a beat came for so long. */
  idleMs?: number;
  /** Called per line of stdout instead of buffering it (JSON streams). */
  onLine?: (line: string) => void;
  /** Called per line of stderr, redacted: for programs that tell there what they passed over. */
  onErrorLine?: (line: string) => void;
  /** Consumes stdout as a stream (an archive, a dump) instead of buffering it; the run fails where this rejects. */
  onStdout?: (stdout: Readable) => Promise<void>;
  /** Texts that must not appear in an error or a log, besides the environment's own values of `secretEnv`. */
  secrets?: string[];
  /** Variables that hold secrets: passed on, and redacted. */
  secretEnv?: Record<string, string>;
  /** What it prints may be a secret that nobody knows yet: nothing of it comes into a log or an error. */
  untold?: boolean;
  /** Runs under the site's lock, and only at this epoch (see site/fence.ts). */
  fence?: Fence;
  /** A start command's children must outlive us and must not inherit locks or die with the worker. */
  outlives?: boolean;
}

export interface RunResult {
  exitCode: number;
  /** Up to 16 MB; a program with more takes onLine or onStdout. */
  stdout: string;
  /** Last 4 KB, redacted. */
  stderrTail: string;
  tookMs: number;
}

/** Runs one program. Rejects with ToolMissing, ToolFailed, ToolStalled, or the cancellation's own reason. */
export type Run = (program: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

/** What a tool of the stopped section must show to run. */
export interface Fence {
  lockFile: string;
  epochFile: string;
  epoch: number;
}

export interface Progress {
  bytes?: number;
  totalBytes?: number;
  files?: number;
  said?: string;
}

/** What a step gives to the parts that it calls. */
export interface Context {
  step: string;
  host: string;
  signal: AbortSignal;
  run: Run;
  /** Says that work goes on; throttled by the caller. */
  beat: (progress?: Progress) => void;
  /** A line for the report: nothing failed, but a person should know. */
  note: (text: string) => void;
  /** Makes a failure of the catalogue with this step and host filled in. */
  fail: (
    type: import('../src/core/failures.js').FailureType,
    what: string,
    more?: { advice?: string; details?: import('../src/core/failures.js').FailureDetails; cause?: unknown },
  ) => Error;
  /** Where tools keep caches between steps (restic needs its own in every command); absent, each tool decides. */
  cacheDir?: string;
  /** Resolves a secret reference; the value is redacted from all that this step says. */
  secret: (ref: import('../src/core/plan.js').SecretRef) => Promise<string>;
}

// ── services ────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ServiceState {
  /**
   * Per unit of the service (a compose service, a unit name): whether it runs, and a mark that changes with each start. `sinceMs`, on the
   * boot clock, where the unit is a process that may have run for a while before this could be known.
   */
  units: { name: string; running: boolean; startedAt?: string; sinceMs?: number }[];
}

export interface Service<S extends ServiceSpec = ServiceSpec> {
  kind: S['kind'];
  /** Tools, files and rights that stop and start need: throws ToolMissing, ServiceUnknown, … before anything stops. */
  preflight(spec: S, ctx: Context): Promise<Record<string, string>>;
  status(spec: S, ctx: Context): Promise<ServiceState>;
  /** Idempotent; resolves only when status says stopped. Only the units named in `running` are touched. */
  stop(spec: S, running: string[], ctx: Context): Promise<void>;
  /** Idempotent; starts only the units named, looked up by name. Does not wait for health. */
  start(spec: S, units: string[], ctx: Context): Promise<void>;
  /** Host paths of the volumes and binds that the service declares, for `uncovered`. */
  volumes?(spec: S, ctx: Context): Promise<{ name: string; path?: string }[]>;
}

// ── databases ───────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Dumped {
  /** Files written, relative to the directory that was given. */
  file: string;
  bytes: number;
  sha256: string;
  fingerprint: Fingerprint;
  /** Files beside the dump, relative as `file` is: grants, roles. */
  also?: { file: string; bytes: number; sha256: string }[];
  consistency?: 'full' | 'crash-like';
  /** Owner and mode of the database where it is a file on the host. */
  mode?: number;
  uid?: number;
  gid?: number;
}

/**
 * How a restore exchanges a database that lives in a server. `tag` names the run; names made of it tell what is whose. Each is
 * idempotent: a repeat goes on where the last attempt ended.
 */
export interface Exchangeable<D extends DatabaseSpec = DatabaseSpec> {
  /** Loads a dump beside the live one, while the application runs; what an earlier attempt loaded goes first. */
  stage(spec: D, file: string, tag: string, ctx: Context): Promise<{ said: string }>;
  /** The live one goes aside, the staged one takes its place. */
  exchange(spec: D, tag: string, fence: Fence, ctx: Context): Promise<void>;
  /** The one put aside comes back, the restored one goes back to where it was staged. Nothing to take back is fine. Runs under the site's lock already. */
  takeBack(spec: D, tag: string, ctx: Context): Promise<void>;
  /** Removes what was staged and is in no use: the exchange came to its good end, or never began. What was put aside stays. */
  unstage(spec: D, tag: string, ctx: Context): Promise<void>;
  /** Removes what carries this tag: staged, or put aside. */
  drop(spec: D, tag: string, ctx: Context): Promise<void>;
}

export interface Database<D extends DatabaseSpec = DatabaseSpec> {
  kind: D['kind'];
  /** Tools and their versions; throws DatabaseMissing, ToolMissing, …; `bytes` is what a dump may need. */
  preflight(spec: D, ctx: Context): Promise<{ bytes: number; tools: Record<string, string> }>;
  /** Folds the WAL in; only called while the application is stopped. Throws CheckpointBusy. */
  checkpoint?(spec: D, fence: Fence | undefined, ctx: Context): Promise<{ said: string }>;
  /** Writes the dump below `dir` (which exists and is empty), durable on return. `fence` is absent for an online dump. */
  dump(spec: D, dir: string, fence: Fence | undefined, ctx: Context): Promise<Dumped>;
  /** The fingerprint of the database that an application may have open: what is only in its log counts too. */
  live(spec: D, ctx: Context): Promise<Fingerprint>;
  /**
   * `dump` in two halves, where the second can wait until the application is up again: a copy that no crash of the machine has
   * been waited for, and what is read from it, durable on return.
   */
  halves?: {
    copy(spec: D, dir: string, fence: Fence | undefined, ctx: Context): Promise<Omit<Dumped, 'sha256' | 'fingerprint'>>;
    describe(file: string, name: string, ctx: Context): Promise<Pick<Dumped, 'sha256' | 'fingerprint'>>;
  };
  /** Reads the fingerprint of a dump of this format as it lies, without changing it. */
  inspect(file: string, format: string, ctx: Context): Promise<Fingerprint>;
  /**
   * Loads a dump into a scratch database at `target` and checks it in full (integrity). Returns its fingerprint. `target` is the
   * file to make, or, for a kind with a server, a directory for a throw-away server.
   */
  load(file: string, format: string, target: string, ctx: Context): Promise<Fingerprint>;
  /** Set for a kind that lives in a server. */
  exchangeable?: Exchangeable<D>;
  /** Names beside the database that must not survive a restore: `-wal`, `-shm`, `-journal`. */
  sidecars(path: string): string[];
}

// ── engines ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export interface Abilities {
  incremental: boolean;
  differential: boolean;
  publicKey: boolean;
  xattrs: boolean;
  dedup: boolean;
  appendOnly: boolean;
}

export interface BackupRequest {
  /** Absolute paths: the staging directory, then roots of in-place file sets. Each exists. */
  paths: string[];
  /** Absolute glob patterns to leave out. */
  exclude: string[];
  /** Where set, only these absolute paths below `paths` are taken (one per line, verbatim): lists of include patterns, expanded. */
  files?: string[];
  /** Absolute roots of live file sets: what goes below them while it is read is no failure. Verifying judges what is missing then. */
  live?: string[];
  manifest: Manifest;
  runId: string;
  kind: SnapshotKind;
  /** Directory of our own for caches and temporary files. */
  workDir: string;
  /** The paths lie on that machine: the staging directory is pulled whole, file sets as the manifest's lists name them. */
  from?: SshSpec;
}

export interface Stored {
  snapshot: Snapshot;
  /** Bytes read and bytes that the repository grew by. */
  bytes: number;
  addedBytes: number;
  files: number;
}

/** One entry of a snapshot's listing; paths as absolute as they were on the host. */
export interface ListedFile {
  path: string;
  type: 'f' | 'd' | 'l' | 'o';
  size: number;
  mtimeMs: number;
}

export interface Engine {
  name: RepositorySpec['engine'];
  abilities: Abilities;
  /** Nothing younger leaves it, whatever `keep` says. */
  keepsAtLeastMs?: number;
  /** Tool versions. Throws ToolMissing, ToolTooOld. */
  preflight(repo: RepositorySpec, ctx: Context): Promise<Record<string, string>>;
  /** Throws InvalidConfig where it could never keep a capture of this plan; absent, it keeps any. */
  accepts?(repo: RepositorySpec, plan: Plan, ctx: Context): Promise<void>;
  /** Opens the repository: throws RepositoryMissing, RepositoryPassword, RepositoryNotMounted, RepositoryUnreachable, … */
  open(repo: RepositorySpec, ctx: Context): Promise<void>;
  /** Creates it; does nothing to one that exists. */
  init(repo: RepositorySpec, ctx: Context): Promise<void>;
  /** Stores a capture and returns its snapshot; what a killed attempt left behind is cleared first. */
  backup(repo: RepositorySpec, request: BackupRequest, ctx: Context): Promise<Stored>;
  /** Snapshots of this site alone, oldest first. */
  list(repo: RepositorySpec, siteId: string, ctx: Context): Promise<Snapshot[]>;
  /** All sites' ids that have snapshots here, for `adopt`. */
  sites(repo: RepositorySpec, ctx: Context): Promise<string[]>;
  contents(repo: RepositorySpec, snapshot: string, ctx: Context): AsyncIterable<ListedFile>;
  /** Restores below `target` (exists, empty) at the absolute paths: `/srv/x` → `<target>/srv/x`. `paths` limits it. */
  restore(
    repo: RepositorySpec,
    snapshot: string,
    target: string,
    options: { paths?: string[]; workDir: string },
    ctx: Context,
  ): Promise<{ files: number; bytes: number }>;
  /** The engine's own check; `part` = n of t rotates over the data. Throws RepositoryDamaged. */
  check(
    repo: RepositorySpec,
    depth: 'structure' | 'sample' | 'full',
    part: { n: number; of: number },
    ctx: Context,
  ): Promise<{ said: string }>;
  /** Removes snapshots by id, and the data that only they needed. */
  forget(repo: RepositorySpec, ids: string[], ctx: Context): Promise<{ freedBytes: number }>;
  stats(repo: RepositorySpec, ctx: Context): Promise<{ bytes: number; snapshots: number }>;
  /** Shell commands that restore `snapshot` with nothing but the engine's own tools; part of RESTORE.md. */
  restoreCommands(repo: RepositorySpec, snapshot: { captureId: string; siteId: string }): string[];
  /** Writes the text in clear beside the repository where the location allows it (a directory). */
  leaveNote(repo: RepositorySpec, name: string, text: string, ctx: Context): Promise<void>;
}

// ── applications' checks ────────────────────────────────────────────────────────────────────────────────────────────

/** A restored site: the tree lies below `root` as it lay on the host (`relocate` maps an absolute host path into it). */
export interface Restored {
  root: string;
  manifest: Manifest;
  plan: Plan;
  /** Host path → path in the restored tree. */
  relocate: (path: string) => string;
  /** Free scratch directory for this check. */
  scratch: string;
  /** Which share of files is read in full this time. */
  part: { n: number; of: number };
}

export interface AppChecks {
  /** What must hold of the application before anything stops, besides databases and files; throws a failure of the catalogue. */
  preflight?(plan: Plan, ctx: Context): Promise<void>;
  /**
   * Changes of the application itself that its backups need, made once by a person (`holdfast setup`), each told; `undo` takes them back. `record`
   * is a file of ours for what was there before.
   */
  setUp?(plan: Plan, options: { undo: boolean; record: string }, ctx: Context): Promise<string>;
  /** Runs first in the `dump` step: exports that the application itself must make. Returns notes for the report. */
  beforeCapture?(plan: Plan, ctx: Context): Promise<void>;
  /** Runs after a repository took the capture: throws where what the capture refers to may have gone meanwhile (garbage collection). */
  afterStore?(
    capture: { manifest: Manifest; file: (relative: string) => string; plan: Plan },
    ctx: Context,
  ): Promise<void>;
  /** Absolute host paths of files (or directories) that the captured databases refer to, streamed. `staging` holds the capture. */
  references?(
    capture: { manifest: Manifest; file: (relative: string) => string; plan: Plan },
    ctx: Context,
  ): AsyncIterable<string>;
  /** What to do where some of them are not there; by default what helps where files were just deleted. */
  missingAdvice?: string;
  /** Files outside the file sets that the captured databases still need (absolute host paths), and why: stored with the snapshot. */
  extraFiles?(
    capture: { manifest: Manifest; file: (relative: string) => string; plan: Plan },
    ctx: Context,
  ): AsyncIterable<{ path: string; why: string }>;
  /** What `references` reads besides databases: names below the capture, `files/<set>`. */
  referencesRead?: string[];
  /** What `explain` says of the live site before its first backup: lines for people. */
  explain?(plan: Plan, ctx: Context): Promise<string[]>;
  /** Runs on a restored tree that will lie at `at`, another root than it had: absolute paths in its configuration follow. */
  relocated?(place: { tree: string; at: string; manifest: Manifest; plan: Plan }, ctx: Context): Promise<void>;
  /** What of the live site is damaged or missing, by the application's own rules; `part` is read in full. Nothing may be changed. */
  live?(plan: Plan, part: { n: number; of: number }, ctx: Context): Promise<string[]>;
  /**
   * Brings back what of the live site is missing or damaged, each piece judged before it is put in place; nothing else is touched. `fetch`
   * brings files (absolute paths of the live site) from a snapshot to where the map says; what it does not hold is absent.
   */
  repair?(
    given: { plan: Plan; fetch: (paths: string[]) => Promise<ReadonlyMap<string, string>> },
    ctx: Context,
  ): Promise<{ repaired: string[]; left: string[] }>;
  /** Copies that the application itself sends to its own remotes after a backup: which the plan names, and one of them. */
  push?: { remotes(plan: Plan): string[]; run(plan: Plan, remote: string, ctx: Context): Promise<string> };
  /** What a repair takes from a remote of the application, instead of a snapshot; undefined where it has none of that name. */
  fromRemote?(
    given: { plan: Plan; name: string; dir: string },
    ctx: Context,
  ): Promise<((paths: string[]) => Promise<ReadonlyMap<string, string>>) | undefined>;
  /** The application's own rules on a restored tree, as evidence. Never throws for a bad backup: a failed Check says it. */
  checks(restored: Restored, ctx: Context): Promise<Check[]>;
  /** Starts the restored application in isolation (own network namespace, private HOME), probes it, and ends it again. */
  boot?(restored: Restored, ctx: Context): Promise<Check[]>;
}
