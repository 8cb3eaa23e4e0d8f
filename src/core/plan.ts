import { z } from 'zod';

/**
 * A plan: what one run will do, as pure data. `prepare` derives it from a site's config and the machine's facts and
 * freezes it on the host under its digest; later steps name the digest, so an edit in mid-run changes nothing half-way.
 * Paths are absolute, durations milliseconds, sizes bytes, secrets references. A plan never travels through Temporal.
 */

export const SecretRef = z.union(
  [
    z.strictObject({ file: z.string().describe('a file that holds the secret alone, readable by its owner only') }),
    z.strictObject({ env: z.string().describe("a variable of the worker's environment") }),
    z.strictObject({
      command: z.array(z.string()).min(1).describe('a program and its arguments that print the secret'),
    }),
  ],
  {
    error: 'must be a reference: { file: … }, { env: … } or { command: […] }; a secret never stands in the config',
  },
);
export type SecretRef = z.infer<typeof SecretRef>;

export const Command = z.strictObject({
  argv: z.array(z.string()).min(1),
  cwd: z.string().optional(),
  env: z.record(z.string(), z.union([z.string(), SecretRef])).optional(),
  timeoutMs: z.number().default(60_000),
});
export type Command = z.infer<typeof Command>;

export const Health = z.union([
  z.strictObject({ http: z.string(), status: z.number().default(200) }),
  z.strictObject({ command: Command }),
]);
export type Health = z.infer<typeof Health>;

const service = { name: z.string(), health: Health.optional(), stopTimeoutMs: z.number().default(60_000) };

export const ServiceSpec = z.discriminatedUnion('kind', [
  /** `file` is the compose file; `services` are stopped in the order given and started in the reverse. */
  z.strictObject({
    kind: z.literal('compose'),
    ...service,
    file: z.string(),
    project: z.string().optional(),
    services: z.array(z.string()).min(1),
  }),
  z.strictObject({ kind: z.literal('systemd'), ...service, unit: z.string(), user: z.boolean().default(false) }),
  /** A program that writes no unit: found by its pid file, ended by a signal, started detached by `start`. */
  z.strictObject({
    kind: z.literal('process'),
    ...service,
    pidFile: z.string(),
    start: Command,
    signal: z.enum(['SIGINT', 'SIGTERM', 'SIGQUIT']).default('SIGTERM'),
  }),
  /** `status`: exit code 0 running, 3 stopped (as LSB and systemd have it), anything else an error. */
  z.strictObject({ kind: z.literal('command'), ...service, stop: Command, start: Command, status: Command }),
  z.strictObject({ kind: z.literal('none'), ...service }),
]);
export type ServiceSpec = z.infer<typeof ServiceSpec>;

const database = {
  name: z.string(),
  mode: z.enum(['stopped', 'online']).default('stopped'),
  /** The dump's name carries its time (UTC): no dump ever has the name of another. */
  dated: z.boolean().optional(),
};

/** How a database server is reached; in a container its own programs are run there. */
const server = {
  host: z.string().optional(),
  port: z.int().optional(),
  socket: z.string().optional(),
  user: z.string().optional(),
  password: SecretRef.optional(),
  container: z
    .strictObject({ file: z.string(), project: z.string().optional(), service: z.string() })
    .optional()
    .describe('the service of a compose file that the server runs in'),
};

export const DatabaseSpec = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sqlite'),
    ...database,
    path: z.string(),
    /** `file`: a byte copy after a checkpoint (or VACUUM INTO when online); `sql`: a `.dump` text. */
    format: z.enum(['file', 'sql']).default('file'),
  }),
  /** MySQL or MariaDB: all `schemas` in one consistent dump. `grants`: the accounts too, in a file of their own. */
  z.strictObject({
    kind: z.literal('mysql'),
    ...database,
    ...server,
    schemas: z.array(z.string()).min(1),
    grants: z.boolean().default(false),
    format: z.literal('sql').default('sql'),
  }),
  /** One database of a PostgreSQL server. `globals`: roles and tablespaces too, in a file of their own. */
  z.strictObject({
    kind: z.literal('postgres'),
    ...database,
    ...server,
    database: z.string(),
    globals: z.boolean().default(true),
    format: z.literal('custom').default('custom'),
  }),
  /** What an application exports of itself over HTTP. `path`: the database file that an import of it makes. */
  z.strictObject({
    kind: z.literal('http'),
    ...database,
    url: z.string(),
    token: SecretRef.optional(),
    /** A certificate that the server's must be signed by, or be; else the machine's own authorities. */
    ca: z.string().optional(),
    format: z.enum(['text', 'varasto']).default('text'),
    /** The last line of a whole answer, where it has one. */
    ends: z.string().optional(),
    path: z.string().optional(),
  }),
  /** What a program prints. `ends`: the last line of a whole output; `load` gets it on its standard input. */
  z.strictObject({
    kind: z.literal('command'),
    ...database,
    dump: Command,
    load: Command.optional(),
    ends: z.string().optional(),
    leastBytes: z.int().default(1),
    format: z.literal('output').default('output'),
  }),
  /** A bbolt file, copied only while nothing has it locked. */
  z.strictObject({
    kind: z.literal('bolt'),
    ...database,
    path: z.string(),
    /** Its copy on a file-system snapshot that a hook makes: taken instead, without a stop, and as after a power cut. */
    snapshot: z.string().optional(),
    format: z.literal('file').default('file'),
  }),
]);
export type DatabaseSpec = z.infer<typeof DatabaseSpec>;

/** Where a database lies as a file on its host; undefined for one that lives in a server. */
export function pathOf(spec: DatabaseSpec): string | undefined {
  return 'path' in spec ? spec.path : undefined;
}

export const FileSetSpec = z.strictObject({
  name: z.string(),
  /** The directory that the set's paths are relative to. */
  root: z.string(),
  /** Paths or globs below root; none means everything. */
  include: z.array(z.string()).default([]),
  exclude: z.array(z.string()).default([]),
  /** `optional`: absence is no error. */
  optional: z.boolean().default(false),
  /** `immutable`: files are written once, so they are stored from where they lie after the restart. `mutable`: copied inside the section. `live`: stored from where they lie, and may change or go meanwhile. */
  change: z.enum(['immutable', 'mutable', 'live']),
  mayBeEmpty: z.boolean().default(false),
  /** A restore in place exchanges the root as one, also with what `exclude` leaves out: rubbish that nobody misses. */
  whole: z.boolean().optional(),
  /** Extended attributes and ACLs are listed with the capture, so that a restore test can compare them; engines that lose them are refused. */
  attributes: z.boolean().optional(),
  /** Each directory below root is a part of its own, which a restore may name. */
  parts: z.boolean().optional(),
});
export type FileSetSpec = z.infer<typeof FileSetSpec>;

export const Keep = z.strictObject({
  last: z.int().positive().optional(),
  hourly: z.int().positive().optional(),
  daily: z.int().positive().optional(),
  weekly: z.int().positive().optional(),
  monthly: z.int().positive().optional(),
  yearly: z.int().positive().optional(),
});
export type Keep = z.infer<typeof Keep>;

/** How another machine is reached over SSH: only with this key, and only where its host key is in `knownHosts`. */
export const SshSpec = z.strictObject({
  address: z.string(),
  user: z.string().default('root'),
  port: z.int().default(22),
  key: z.string(),
  knownHosts: z.string(),
});
export type SshSpec = z.infer<typeof SshSpec>;

export const RepositorySpec = z.strictObject({
  name: z.string(),
  engine: z.enum(['restic', 'archive', 'rsync', 'ubackup', 'rclone']),
  location: z.string(),
  password: SecretRef.optional(),
  credentials: z.record(z.string(), SecretRef).default({}),
  /** age recipients (`age1…`): the writer encrypts to them and cannot read its own backups. */
  recipients: z.array(z.string()).default([]),
  /** The age identity that reads them, where this host may have it. */
  identity: SecretRef.optional(),
  /** The machine that it is on, where that is another one: its steps run there. */
  host: z.string().optional(),
  /** How this host reads what that machine has. */
  ssh: SshSpec.optional(),
  /** The host that has the key, and so rehearses the restores. */
  proveOn: z.string().optional(),
  requireMount: z.boolean().default(false),
  offsite: z.boolean().default(false),
  appendOnly: z.boolean().default(false),
  uploadLimit: z.number().optional(),
  downloadLimit: z.number().optional(),
  keep: Keep.optional(),
});
export type RepositorySpec = z.infer<typeof RepositorySpec>;

/** Whether a repository is on another machine than this one. */
export function livesElsewhere({ host }: Pick<RepositorySpec, 'host'>, here: string): boolean {
  return host !== undefined && host !== here;
}

export const HookName = z.enum(['before', 'after', 'onFailure', 'condition']);
export type HookName = z.infer<typeof HookName>;

/** A risky operation that a guarded change may do; without a check the application's own health counts. */
export const OperationSpec = z.strictObject({
  run: Command,
  check: Health.optional(),
  /** `held`: the application is stopped from the capture to the check. `open`: it runs meanwhile. */
  writes: z.enum(['held', 'open']).default('held'),
  /** Names of the databases and file sets that it may change; all where absent. */
  touches: z.array(z.string()).optional(),
});
export type OperationSpec = z.infer<typeof OperationSpec>;

export const NotifySpec = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('webhook'),
    name: z.string(),
    url: SecretRef,
    key: SecretRef.optional(),
    on: z.array(z.string()),
  }),
  z.strictObject({ kind: z.literal('ping'), name: z.string(), url: SecretRef, on: z.array(z.string()) }),
]);
export type NotifySpec = z.infer<typeof NotifySpec>;

export const Plan = z.strictObject({
  schema: z.literal(1),
  site: z.string(),
  /** Stable through renaming; snapshots are tagged with it. */
  siteId: z.string(),
  app: z.string(),
  host: z.string(),
  root: z.string(),
  /** IANA name: retention counts days by the wall clock of the site. */
  timezone: z.string().default('UTC'),
  /** In the order in which they are stopped; started in the reverse. */
  services: z.array(ServiceSpec),
  databases: z.array(DatabaseSpec),
  fileSets: z.array(FileSetSpec),
  /** Top entries and volumes that are neither included nor excluded. */
  uncovered: z.array(z.string()),
  /** What the application leaves out by design, each with its reason, for people. */
  leftOut: z.array(z.string()).default([]),
  /** Commands that a person runs after a restore. */
  afterRestore: z.array(z.string()).optional(),
  /** Nothing younger is ever pruned, whatever `keep` says: an application's own rule. */
  keepAtLeastMs: z.number().default(0),
  /** The application's own options, parsed by its schema. */
  options: z.record(z.string(), z.unknown()),
  repositories: z.array(RepositorySpec).min(1),
  hooks: z.partialRecord(HookName, Command),
  operations: z.record(z.string(), OperationSpec).default({}),
  notify: z.array(NotifySpec),
  limits: z.strictObject({
    /** Hard cap of a stopped section. */
    downtimeMs: z.number(),
    startMs: z.number().default(30 * 60_000),
    storeMs: z.number().default(20 * 3600_000),
    /** How long a run waits for the worker of another host. */
    pickupMs: z.number().default(30 * 60_000),
    idleMs: z.number().default(30 * 60_000),
    reserveBytes: z.number().optional(),
  }),
  objectives: z.strictObject({
    maxAgeMs: z.number().optional(),
    maxDowntimeMs: z.number().optional(),
    maxProofAgeMs: z.number().optional(),
  }),
  restore: z.strictObject({ root: z.string().optional(), approval: z.enum(['required', 'input']).default('required') }),
  restoreTest: z.strictObject({
    scratch: z.string().optional(),
    boot: z.boolean().default(false),
    start: Command.optional(),
    sample: z.string().default('1/12'),
  }),
  /** Set where this is another host's part of a run: the site that it is about, as that host calls it. */
  of: z.strictObject({ site: z.string(), host: z.string() }).optional(),
  /** Where this host pulls the site from, and the state directory of the worker there. */
  pull: z.strictObject({ ssh: SshSpec, state: z.string() }).optional(),
  /** The config as its owner wrote it (references only): goes into each snapshot. */
  configText: z.string(),
});
export type Plan = z.infer<typeof Plan>;

/** Backed up without a stop: only where each database can be taken online, and nothing mutable has to be copied at rest. */
export function isOnline(plan: Pick<Plan, 'databases'>): boolean {
  return plan.databases.length > 0 && plan.databases.every((database) => database.mode === 'online');
}

/** Whether anything is stopped for a backup: a site without a service never is, whatever its databases ask for. */
export function isStopped(plan: Pick<Plan, 'databases' | 'services'>): boolean {
  return !isOnline(plan) && plan.services.some(({ kind }) => kind !== 'none');
}

/** The service's specs as the site record keeps them, so that the watchdog needs no config to start an application. */
export const ServiceSpecs = z.array(ServiceSpec);
