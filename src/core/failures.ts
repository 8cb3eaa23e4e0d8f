import { ApplicationFailure } from '@temporalio/common';

/**
 * The failure catalogue: every way in which Holdfast says that something went wrong. Nothing else throws out of a
 * step. `retry`: `never` ends the step at once, `soon` is a matter of seconds, `wait` may take hours (a network, a busy
 * repository). `advice` completes the message's second half, `docs/troubleshooting.md` is generated from `when`.
 */
interface Entry {
  retry: 'never' | 'soon' | 'wait';
  when: string;
  advice: string;
}

const entry = (retry: Entry['retry'], when: string, advice: string): Entry => ({ retry, when, advice });

export const FAILURES = {
  // What a person wrote
  InvalidInput: entry(
    'never',
    'a workflow was started with an input that is not what it takes',
    'correct it and start again',
  ),
  InvalidConfig: entry(
    'never',
    'holdfast.yaml has mistakes',
    'correct the lines named here, then run `holdfast config validate`',
  ),
  UnknownSite: entry(
    'never',
    'the input names a site that the config of that host does not have',
    'name one of the sites listed',
  ),
  UnknownRepository: entry(
    'never',
    'the input names a repository that the site does not use',
    'name one of the repositories listed',
  ),
  SecretUnavailable: entry(
    'never',
    'a secret reference cannot be resolved',
    'create the file or variable that it names, readable by the worker alone',
  ),
  // The machine
  NoWorker: entry(
    'never',
    'no worker polls the queue of that host',
    'start `holdfast worker` there; nothing was stopped',
  ),
  StepTimedOut: entry(
    'soon',
    'a step gave no result within its time limit',
    'look at the worker of that host and its log',
  ),
  WrongHost: entry(
    'never',
    'another machine answers to this host name',
    'give each machine its own name with `holdfast worker --host`',
  ),
  ToolMissing: entry('never', 'a program that the plan needs is not installed', 'install it'),
  ToolTooOld: entry('never', 'a program is older than what Holdfast can trust', 'install a newer version'),
  ToolFailed: entry(
    'soon',
    'a program ended with an exit code that is no success',
    'read the log named in the details',
  ),
  ToolStalled: entry(
    'soon',
    'a program made no progress for too long and was ended',
    'look at the disk or the network behind it',
  ),
  SourceMissing: entry(
    'never',
    'a directory or file that the plan requires is not there',
    'mount or create it, or correct the config',
  ),
  SourceEmpty: entry('never', 'a required file set has no file', 'set `mayBeEmpty: true` if that is right'),
  SourceUnreadable: entry('never', 'files cannot be read', 'run the worker as a user that may read them'),
  NoSpace: entry('never', 'a disk has less room than the run needs', 'free some space; nothing was stopped'),
  DiskFull: entry('soon', 'a disk filled up in mid-step', 'free some space'),
  StateUnusable: entry('soon', 'the state directory cannot be written', 'make it writable by the worker'),
  // The application
  ServiceUnknown: entry('never', 'there is no such service', 'correct the name in the config'),
  StopFailed: entry(
    'soon',
    'the application did not stop, or still runs although its stop succeeded',
    'stop it by hand to see why',
  ),
  StillWriting: entry(
    'soon',
    'a process still has files of the stopped application open for writing',
    'end that process or wait for it',
  ),
  NotStopped: entry(
    'never',
    'somebody started the application inside the stopped section',
    'find out what starts it: a socket unit, an auto-restarter, a person',
  ),
  StartFailed: entry('soon', 'the application could not be started', 'look at its own log'),
  NotHealthy: entry('soon', 'the application runs but does not answer its health check', 'look at its own log'),
  ApplicationDown: entry(
    'never',
    'the application did not come up within the limit',
    'bring it up; the watchdog goes on trying',
  ),
  WatchdogMissing: entry(
    'soon',
    'no watchdog acknowledged that the application is about to be stopped',
    'start `holdfast watchdog`',
  ),
  SectionRevoked: entry(
    'never',
    'the watchdog ended the stopped section and started the application',
    'nothing: the section is repeated once',
  ),
  DowntimeBudgetSpent: entry(
    'never',
    'two stopped sections of this run were ended; the application is up',
    'raise limits.downtime or find what takes so long',
  ),
  SiteBusy: entry('wait', 'another run holds the site', 'wait for it'),
  HookFailed: entry('never', 'a hook of the config failed', 'read the log named in the details'),
  RemoteFailed: entry(
    'soon',
    'a remote of the application does not answer, or has not what was pushed to it',
    'push by hand to see why; what was stored is stored',
  ),
  // Databases
  DatabaseMissing: entry('never', 'the database file is not there', 'correct its path in the config'),
  DatabaseDenied: entry(
    'never',
    'the database, or the application that exports it, refuses what it was asked with',
    'correct user and password, or the token',
  ),
  DatabaseUnreachable: entry('soon', 'the server of a database does not answer', 'look whether it runs'),
  DatabaseLocked: entry('soon', 'another process holds the database', 'find it with the pid named here'),
  DatabaseCorrupt: entry(
    'never',
    'the database does not pass its integrity check',
    'restore it from the newest proven snapshot',
  ),
  CheckpointBusy: entry(
    'soon',
    'the write-ahead log could not be folded into the database',
    'find the process that still reads it',
  ),
  DumpEmpty: entry('never', 'a dump holds nothing', 'look at the database'),
  DumpIncomplete: entry('soon', 'a dump does not end as a complete one does', 'look at the disk and the database'),
  FilesVanished: entry(
    'soon',
    'files that the captured database refers to are gone',
    'hold deletions back during a backup, or make the file set mutable',
  ),
  LiveDatabaseInFiles: entry(
    'never',
    'a plain file set holds live database files',
    'name them as a database or exclude them',
  ),
  // Repositories
  RepositoryMissing: entry(
    'never',
    'there is no repository at that location',
    'mount it, correct the location, or run `holdfast check --init`',
  ),
  RepositoryNotMounted: entry('wait', "the repository's disk is not mounted", 'mount it'),
  RepositoryPassword: entry(
    'never',
    'the repository does not open with that password',
    'correct the password; never initialise it anew',
  ),
  RepositoryLocked: entry(
    'wait',
    'the repository is locked by a process that is alive, or of another host',
    'wait for it; if that host is gone, unlock by hand',
  ),
  RepositoryUnreachable: entry('wait', 'the repository does not answer', 'look at the network or the provider'),
  RepositoryDenied: entry('never', 'the provider refuses the credentials', 'correct the credentials'),
  RepositoryDamaged: entry(
    'never',
    'the repository does not pass its check',
    'keep it as it is, back up to another one, then repair a copy',
  ),
  RepositoryInSource: entry('never', 'the repository lies inside what is backed up', 'move it'),
  SnapshotIncomplete: entry(
    'soon',
    'the engine could not read some of the source',
    'read the log named in the details',
  ),
  SnapshotMissing: entry('never', 'there is no such snapshot', 'list them with `holdfast snapshots`'),
  SnapshotDiffers: entry(
    'never',
    'what the repository holds is not what the manifest says',
    'treat this snapshot as lost and back up again',
  ),
  KeyMissing: entry(
    'never',
    'this host does not have the key that reads the backup',
    'run it on the host that has the key, named there as `identity`',
  ),
  // Restore and proof
  NotApproved: entry('never', 'the restore was not approved', 'start it again and approve it'),
  RestoreRefused: entry('never', 'the restore would harm what is there', 'read what is named here'),
  RestoreFailed: entry(
    'never',
    'the restored application did not come up; the state from before is back',
    'restore to a directory and look at it',
  ),
  ProofFailed: entry(
    'never',
    'a restore test found that the backup is not good',
    'back up again and look at the places named here',
  ),
  VerifyFailed: entry('never', 'a snapshot does not pass its verification', 'back up again'),
  // Guarded changes
  UnknownOperation: entry(
    'never',
    'the input names an operation that the config of that site does not have',
    'name one of the operations listed',
  ),
  OperationFailed: entry(
    'never',
    'the operation of a guarded change ended with an exit code that is no success',
    'read its log with `holdfast logs`',
  ),
  OperationUnknown: entry(
    'never',
    'nobody knows how far the operation of a guarded change came: it was ended in the middle',
    'look at what it left, then decide with `holdfast approve`; it is never run twice by itself',
  ),
  CheckFailed: entry('never', 'the check of a guarded change failed three times', 'read its log with `holdfast logs`'),
  CheckUnclear: entry(
    'never',
    'the check of a guarded change could not look, so nobody knows whether all is well',
    'make the check work, then decide',
  ),
  RequiredBackupFailed: entry(
    'never',
    "a backup that somebody's workflow requires did not complete",
    'read its report',
  ),
  Unexpected: entry(
    'soon',
    'something happened that Holdfast has no name for',
    'report it with the log named in the details',
  ),
} as const satisfies Record<string, Entry>;

export type FailureType = keyof typeof FAILURES;

/** What travels with a failure: small, redacted, never a program's standard output. */
export interface FailureDetails {
  tool?: string;
  exitCode?: number | undefined;
  /** At most 4 KB, redacted. */
  stderrTail?: string;
  /** Name of the log file on the host, relative to its state directory. */
  log?: string;
  places?: string[];
  [key: string]: unknown;
}

export interface FailureText {
  step: string;
  host: string;
  /** What happened, without a final stop: `wrong password for repository nas`. */
  what: string;
  /** What to do, where the catalogue's advice is not precise enough. */
  advice?: string;
  details?: FailureDetails;
  cause?: unknown;
}

/** `<step> on <host>: <what happened>; <what to do>`, with the retry behaviour of the catalogue. */
export function failure(type: FailureType, text: FailureText): ApplicationFailure {
  const { retry, advice } = FAILURES[type];
  return ApplicationFailure.create({
    type,
    nonRetryable: retry === 'never',
    message: `${text.step} on ${text.host}: ${text.what}; ${text.advice ?? advice}`,
    details: text.details ? [text.details] : [],
    ...(text.cause instanceof Error ? { cause: text.cause } : {}),
  });
}

export function isFailure(error: unknown, ...types: FailureType[]): error is ApplicationFailure {
  return (
    error instanceof ApplicationFailure &&
    (types.length === 0 ? (error.type ?? '') in FAILURES : types.includes(error.type as FailureType))
  );
}
