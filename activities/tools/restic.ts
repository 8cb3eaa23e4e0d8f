import { z } from 'zod';
import type { FailureType } from '../../src/core/failures.js';

/**
 * restic as a tool: versions, exit codes, JSON. Debian 12's 0.14 and everything newer (run: 0.14.0, 0.17.3, 0.19.1); 0.17.1 has
 * exit codes of its own for what 0.14 tells in words only, so both are read. JSON may lack fields and gain types at any time.
 */

/** The oldest version that Holdfast trusts: the first with `--json` and locks as they are today in a long-lived distribution. */
export const RESTIC_FLOOR = [0, 14, 0] as const;

/** Exit codes that restic documents and that are told apart here; all others are failures of the runner's own. */
export const RESTIC_CODES = [0, 1, 3, 10, 11, 12];

/** `restic 0.14.0 compiled with …` → [0, 14, 0]; undefined where that is no version. */
export function parseVersion(text: string): [number, number, number] | undefined {
  const match = /^restic (\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match ? [Number(match[1]), Number(match[2]), Number(match[3] ?? 0)] : undefined;
}

/** Whether version `a` is at least `b`. */
export function atLeast(a: readonly number[], b: readonly number[]): boolean {
  for (const [i, floor] of b.entries()) if ((a[i] ?? 0) !== floor) return (a[i] ?? 0) > floor;
  return true;
}

const CODES: Record<number, FailureType> = {
  10: 'RepositoryMissing',
  11: 'RepositoryLocked',
  12: 'RepositoryPassword',
};

/** In this order: restic adds "Is there a repository at…" to each failure to open one, also where the network is the cause. */
const TEXTS: readonly [RegExp, FailureType][] = [
  [/repository is already locked/i, 'RepositoryLocked'],
  [/wrong password or no key found|empty password is not/i, 'RepositoryPassword'],
  [/no space left on device|disk quota exceeded|not enough space/i, 'DiskFull'],
  [
    /access ?denied|permission denied|operation not permitted|read-only file system|InvalidAccessKeyId|SignatureDoesNotMatch|\b(401|403)\b/i,
    'RepositoryDenied',
  ],
  [
    /connection (refused|reset|timed out)|no such host|i\/o timeout|network is unreachable|no route to host|unable to start the sftp session|TLS handshake|server misbehaving|Host key verification|\b50[0234]\b|stale file handle|input\/output error/i,
    'RepositoryUnreachable',
  ],
  [
    // Of a whole id newer ones make no search: its file is not there, in the words of the storage.
    /no matching ID found|no snapshot found|failed to load snapshot \w+: .*(no such file|does not exist|NoSuchKey|\b404\b)/i,
    'SnapshotMissing',
  ],
  // Without these words 0.19 says of any other failure that it cannot open the config file.
  [/is there a repository at|repository does not exist/i, 'RepositoryMissing'],
  [
    /repository contains errors|ciphertext verification failed|does not match|not found in (the )?(repository|index)|invalid data returned|load.*failed|unexpected EOF|index .* is damaged/i,
    'RepositoryDamaged',
  ],
];

/** What a failed command of restic means, by its code where it has one of its own, else by its words. Undefined: no name for it. */
export function classify(exitCode: number, stderr: string): FailureType | undefined {
  if (exitCode === 0) return undefined;
  return CODES[exitCode] ?? TEXTS.find(([pattern]) => pattern.test(stderr))?.[1];
}

export const Status = z.looseObject({
  message_type: z.literal('status'),
  total_bytes: z.number().optional(),
  bytes_done: z.number().optional(),
  files_done: z.number().optional(),
});

export const Summary = z.looseObject({
  message_type: z.literal('summary'),
  /** Eight characters in 0.14; absent where nothing was stored. */
  snapshot_id: z.string().optional(),
  data_added: z.number().default(0),
  /** What was written after compression (0.17 and newer). */
  data_added_packed: z.number().optional(),
  total_files_processed: z.number().default(0),
  total_bytes_processed: z.number().default(0),
});
export type Summary = z.infer<typeof Summary>;

/** On standard error, per file that could not be stored. 0.14 tells the number of the error, later versions its words. */
export const BackupError = z.looseObject({
  message_type: z.literal('error'),
  error: z.looseObject({ Err: z.unknown().optional(), message: z.string().optional() }),
  item: z.string(),
});

/** Whether a file of a live set was only deleted before it was read. */
export function wentAway({ error, item }: z.infer<typeof BackupError>, live: readonly string[]): boolean {
  const ENOENT = 2;
  const gone = error.Err === ENOENT || /no such file or directory/i.test(error.message ?? '');
  return gone && live.some((root) => item.startsWith(`${root}/`));
}

/** What 0.19 says, in plain words, of a named path that went before it began (0.14 passes over it); whether that is one of a live set. */
export function wentBefore(line: string, live: readonly string[]): boolean {
  const path = /^(.+) does not exist, skipping$/.exec(line)?.[1];
  return path !== undefined && live.some((root) => path.startsWith(`${root}/`));
}

export const SnapshotList = z
  .array(
    z.looseObject({
      id: z.string(),
      time: z.string(),
      tags: z.array(z.string()).nullish(),
      summary: z.looseObject({ total_bytes_processed: z.number().optional() }).optional(),
    }),
  )
  .nullable();

/** 0.14 has `struct_type` only; newer ones add `message_type`, and call the other one deprecated. */
const typed = <T extends string>(type: T) =>
  z.union([z.object({ struct_type: z.literal(type) }), z.object({ message_type: z.literal(type) })]);

export const LsHead = z.looseObject({ paths: z.array(z.string()) }).and(typed('snapshot'));
export const LsNode = z
  .looseObject({
    type: z.string(),
    path: z.string(),
    size: z.number().optional(),
    mtime: z.string(),
  })
  .and(typed('node'));

export const Stats = z.looseObject({ total_size: z.number(), snapshots_count: z.number().optional() });

export const Lock = z.looseObject({ time: z.string(), hostname: z.string(), pid: z.number() });

/** A line of a JSON stream; undefined for words between (0.14 mixes them in). */
export function parseLine(line: string): unknown {
  if (!line.startsWith('{') && !line.startsWith('[')) return undefined;
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** A path as restic's patterns take it literally. */
export function literal(path: string): string {
  return path.replace(/[\\*?[\]]/g, '\\$&');
}

/** `a{b,c}d` → `abd`, `acd`: restic's patterns know no braces. */
export function expandBraces(pattern: string): string[] {
  const match = /^(.*?)\{([^{}]*,[^{}]*)\}(.*)$/s.exec(pattern);
  if (!match) return [pattern];
  const [, head = '', choices = '', tail = ''] = match;
  return choices.split(',').flatMap((choice) => expandBraces(`${head}${choice}${tail}`));
}

const UNITS: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 };

/** Bytes that `prune` says it freed: `total prune: 12 blobs / 2.024 KiB`. 0 where it says nothing. */
export function parsePruned(text: string): number {
  const match = /total prune:\s+\d+ blobs \/ ([\d.]+) (B|KiB|MiB|GiB|TiB)/.exec(text);
  return match ? Math.round(Number(match[1]) * (UNITS[match[2] ?? 'B'] ?? 1)) : 0;
}
