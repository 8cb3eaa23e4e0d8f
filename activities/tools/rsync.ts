import type { FailureType } from '../../src/core/failures.js';
import type { SshSpec } from '../../src/core/plan.js';

/** rsync as a tool: argv, exit codes, progress; and SSH as its transport. */

/**
 * Everything of a file that can be kept: owners by number, as the names of two machines differ. A window of -1 compares
 * times to the nanosecond: by whole seconds a file that is written twice in one looks unchanged.
 */
export const COPY_ARGS = [
  ...['--links', '--perms', '--times', '--group', '--owner', '--devices', '--specials', '--hard-links'],
  ...['--acls', '--xattrs', '--sparse', '--numeric-ids', '--modify-window=-1'],
];

/** One line about once a second (see `progressOf`). */
export const PROGRESS_ARGS = ['--info=progress2', '--no-human-readable', '--outbuf=L'];

/** The names come on standard input, NUL-separated, and nothing below them is taken; one that is gone is no error. */
export const LIST_ARGS = ['--files-from=-', '--from0', '--ignore-missing-args'];

/** 23: some of it could not be read or written; 24: files vanished meanwhile; 12, 30, 35, 255: the connection. */
export const RSYNC_CODES = [0, 5, 10, 11, 12, 22, 23, 24, 30, 35, 127, 255];

/** Bytes so far of a line of progress. */
export function progressOf(line: string): number | undefined {
  const match = /^\s*(\d+)\s+\d+%/.exec(line);
  return match ? Number(match[1]) : undefined;
}

/** `rsync  version 3.2.7  protocol version 31` → 3.2.7, and whether it keeps what this engine promises. */
export function parseRsync(text: string): { version: string; whole: boolean } | undefined {
  const version = /^rsync\s+version v?(\d+\.\d+\.\d+)/.exec(text)?.[1];
  return version ? { version, whole: !/no (hardlinks|ACLs|xattrs)\b/.test(text) && /xattrs/.test(text) } : undefined;
}

/** What a failed rsync means. Undefined: no name for it. `remote`: one end of it is another machine. */
export function classifyRsync(exitCode: number, stderr: string, remote: boolean): FailureType | undefined {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) return 'DiskFull';
  if (
    remote &&
    /Host key verification failed|Permission denied \(|Load key |identity file .* not accessible/i.test(stderr)
  )
    return 'RepositoryDenied';
  if (remote && /rsync: (command )?not found|No such file or directory.*rsync$/m.test(stderr)) return 'ToolMissing';
  if (remote && [10, 12, 30, 35, 127, 255].includes(exitCode)) return 'RepositoryUnreachable';
  if (exitCode === 23) return 'SnapshotIncomplete';
  return undefined;
}

/** How long a connection that has gone silent is believed in: 15 s × 4. */
const SSH_OPTIONS = [
  ...['IdentitiesOnly=yes', 'BatchMode=yes', 'StrictHostKeyChecking=yes', 'GlobalKnownHostsFile=/dev/null'],
  ...['ConnectTimeout=10', 'ServerAliveInterval=15', 'ServerAliveCountMax=4', 'PermitLocalCommand=no'],
];

/** `ssh` as rsync's `--rsh` takes it: nothing of the user's own configuration, and only hosts whose key is known. */
export function rshOf({ key, knownHosts, port }: SshSpec): string {
  const options = [...SSH_OPTIONS, `UserKnownHostsFile=${knownHosts}`].flatMap((option) => ['-o', option]);
  return ['ssh', '-F', 'none', '-p', String(port), '-i', key, ...options].map(quoteWord).join(' ');
}

/** `root@192.0.2.1:/path`. */
export function remotePath({ user, address }: SshSpec, path: string): string {
  return `${user}@${address.includes(':') ? `[${address}]` : address}:${path}`;
}

/** rsync splits at spaces, and takes a doubled quote for one. */
function quoteWord(word: string): string {
  return /[\s'"]/.test(word) ? `'${word.replaceAll("'", "''")}'` : word;
}
