import type { FailureType } from '../../src/core/failures.js';
import type { RunResult } from '../contracts.js';

/** rclone, 1.60 and newer, as a way to S3: its settings by environment, so that no secret is in an argument or a file. */

/** The exit codes that rclone documents. */
export const RCLONE_CODES = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/** rclone's name for the remote that the environment describes. */
export const REMOTE = 'holdfast';

export interface S3Place {
  endpoint: string;
  /** Bucket and prefix, without slashes at the ends. */
  path: string;
}

/** `s3:https://s3.example.com/bucket/prefix`, as restic has it; undefined for anything else. */
export function parseS3(location: string): S3Place | undefined {
  const [, endpoint, path] = /^s3:(https?:\/\/[^/\s]+)\/([^\s]+?)\/*$/.exec(location) ?? [];
  return endpoint && path ? { endpoint, path } : undefined;
}

/** What describes the remote, without credentials. */
export function remoteEnv({ endpoint }: S3Place, { makeBucket = false } = {}): Record<string, string> {
  const name = `RCLONE_CONFIG_${REMOTE.toUpperCase()}`;
  return {
    // Nothing of a person's own configuration.
    RCLONE_CONFIG: '/dev/null',
    [`${name}_TYPE`]: 's3',
    [`${name}_PROVIDER`]: /\.amazonaws\.com$/.test(endpoint) ? 'AWS' : 'Other',
    [`${name}_ENDPOINT`]: endpoint,
    [`${name}_ENV_AUTH`]: 'true',
    // A key that may write objects need not be one that may make or look at buckets.
    [`${name}_NO_CHECK_BUCKET`]: String(!makeBucket),
    RCLONE_RETRIES: '3',
    RCLONE_LOW_LEVEL_RETRIES: '3',
    RCLONE_CONTIMEOUT: '20s',
  };
}

const WORDS: [RegExp, FailureType][] = [
  [/NoSuchBucket|directory not found|object not found|or doesn't exist|status code: 404/, 'RepositoryMissing'],
  [
    /AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|NoCredentialProviders|Forbidden|status code: 403/,
    'RepositoryDenied',
  ],
  [
    /no such host|connection refused|i\/o timeout|network is unreachable|EOF|ServiceUnavailable|SlowDown/,
    'RepositoryUnreachable',
  ],
  [/no space left/i, 'DiskFull'],
];

/** What a failed call means; undefined where rclone's words say nothing that is known. */
export function classify({
  exitCode,
  stderrTail,
}: Pick<RunResult, 'exitCode' | 'stderrTail'>): FailureType | undefined {
  const said = WORDS.find(([pattern]) => pattern.test(stderrTail))?.[1];
  if (said) return said;
  return exitCode === 3 || exitCode === 4 ? 'RepositoryMissing' : exitCode === 5 ? 'RepositoryUnreachable' : undefined;
}
