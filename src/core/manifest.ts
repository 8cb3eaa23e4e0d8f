import { z } from 'zod';

/** Where the manifest, the lists and RESTORE.md lie in a restored site, below its root: of that restore, and no part of the site. */
export const ABOUT = '.holdfast';

/** What a capture holds. One `manifest.json` per capture, in every snapshot of it. Sizes are bytes, times ISO 8601 UTC. */

/** What tells two states of a database apart: compared at restore and in a restore test. */
export const Fingerprint = z.strictObject({
  /** Rows per table. */
  tables: z.record(z.string(), z.int()),
  /** SHA-256 of the sorted schema text. */
  schemaSha256: z.string(),
  userVersion: z.int(),
  applicationId: z.int().optional(),
  /** SHA-256 of all records in bytewise order, where a kind exports them in an order of no meaning. */
  contentSha256: z.string().optional(),
});
export type Fingerprint = z.infer<typeof Fingerprint>;

export const DatabaseEntry = z.strictObject({
  name: z.string(),
  kind: z.string(),
  format: z.string(),
  /** Where the dump lies below the capture: `databases/database.sqlite`. */
  file: z.string(),
  /** Where it belongs on the host, absolute; absent for one that lives in a server. */
  path: z.string().optional(),
  bytes: z.int(),
  sha256: z.string(),
  fingerprint: Fingerprint,
  /** Set until the copy is hashed and counted, which waits until the application is up again. Never in a snapshot. */
  unread: z.literal(true).optional(),
  /** Files beside the dump: grants, roles. */
  also: z.array(z.strictObject({ file: z.string(), bytes: z.int(), sha256: z.string() })).optional(),
  /** `crash-like`: as after a power cut (a file-system snapshot); absent means consistent. */
  consistency: z.enum(['full', 'crash-like']).optional(),
  mode: z.int().optional(),
  uid: z.int().optional(),
  gid: z.int().optional(),
});
export type DatabaseEntry = z.infer<typeof DatabaseEntry>;

/** The least that holds of any of these databases; undefined where none of them tells. */
export function consistencyOf(databases: readonly Pick<DatabaseEntry, 'consistency'>[]): DatabaseEntry['consistency'] {
  if (databases.some(({ consistency }) => consistency === 'crash-like')) return 'crash-like';
  return databases.some(({ consistency }) => consistency === 'full') ? 'full' : undefined;
}

const WORDS = { full: 'fully consistent', 'crash-like': 'as after a power cut' };

/** For people: `fully consistent`; empty where nothing is told. */
export function consistencyWords(consistency: DatabaseEntry['consistency']): string {
  return consistency ? WORDS[consistency] : '';
}

export const FileSetEntry = z.strictObject({
  name: z.string(),
  root: z.string(),
  /** `staged`: lies below the capture as `files/<name>/`; `inPlace`: stored from `root` itself. */
  where: z.enum(['staged', 'inPlace']),
  files: z.int(),
  bytes: z.int(),
  /** Files may change or go while they are stored: sizes are as of the list. */
  live: z.boolean().optional(),
  /** JSON lines of FileLine, sorted by path, below the capture. */
  list: z.string(),
  listSha256: z.string(),
  /** Extended attributes and ACLs of its files: gzipped, sorted lines of `path`, tab, `name=value …`, as getfattr writes them in hex. */
  attributes: z.strictObject({ file: z.string(), sha256: z.string(), entries: z.int() }).optional(),
  /** Only in a fetched tree: the directories below root that a restore asked for, and nothing else. */
  parts: z.array(z.string()).optional(),
});
export type FileSetEntry = z.infer<typeof FileSetEntry>;

/** One line of a file list. `p` path relative to the set's root, `t` file/dir/link, `s` size, `m` mtime ms, `o` mode, `h` SHA-256 where known, `l` link target, `d` kind and number of a device (`c 0:0` is a whiteout of OverlayFS). */
export const FileLine = z.object({
  p: z.string(),
  t: z.enum(['f', 'd', 'l', 'o']),
  s: z.int(),
  m: z.number(),
  o: z.int(),
  u: z.int(),
  g: z.int(),
  h: z.string().optional(),
  l: z.string().optional(),
  d: z.string().optional(),
});
export type FileLine = z.infer<typeof FileLine>;

export const SnapshotKind = z.enum(['regular', 'safety', 'rolled-back']);
export type SnapshotKind = z.infer<typeof SnapshotKind>;

export const Manifest = z.strictObject({
  schema: z.literal(1),
  holdfast: z.string(),
  captureId: z.string(),
  runId: z.string(),
  site: z.string(),
  siteId: z.string(),
  app: z.string(),
  host: z.string(),
  root: z.string(),
  kind: SnapshotKind,
  /** The instant that the databases show. */
  capturedAt: z.string(),
  /** When the files' list was taken: at or after capturedAt. */
  filesAsOf: z.string(),
  consistency: z.enum(['stopped', 'online']),
  /** The staging directory as the engine sees it: absolute, stable per site. */
  staging: z.string(),
  databases: z.array(DatabaseEntry),
  /** Only in a fetched tree: the databases are of this other capture, as the input asked for. */
  databasesOf: z.strictObject({ captureId: z.string(), capturedAt: z.string() }).optional(),
  fileSets: z.array(FileSetEntry),
  /** The site's root (empty path) and the directories below it that databases and file sets lie in, outermost first. */
  directories: z.array(z.strictObject({ path: z.string(), mode: z.int(), uid: z.int(), gid: z.int() })).optional(),
  /** Boot id of the machine, until all that was copied is on its disk. Never in a snapshot. */
  copiedIn: z.string().optional(),
  uncovered: z.array(z.string()),
  tools: z.record(z.string(), z.string()),
  notes: z.array(z.string()),
});
export type Manifest = z.infer<typeof Manifest>;

/** One capture in one repository, as the engine's own listing tells it (tags). */
export const Snapshot = z.strictObject({
  id: z.string(),
  repository: z.string(),
  captureId: z.string(),
  runId: z.string(),
  siteId: z.string(),
  kind: SnapshotKind,
  capturedAt: z.string(),
  storedAt: z.string(),
  /** False where the engine says that something could not be read. */
  complete: z.boolean(),
  /** The least that holds of any of its databases, where one of them tells it. */
  consistency: z.enum(['full', 'crash-like']).optional(),
  bytes: z.int().optional(),
});
export type Snapshot = z.infer<typeof Snapshot>;
