import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** One application on a lab, under the site name `cms`, with all that a look from outside needs. */
export interface AppSite {
  root: string;
  /** Names of repositories that a case may choose. */
  repositories: string[];
  /** Whether there is something that a restore stops. */
  service: boolean;
  /** What a restore may bring back alone, as `only` takes it, and the beginning of its lines. */
  part?: { only: string[]; lines: string };
  workerEnv?: Record<string, string>;
  /** All of it runs and answers. */
  up: () => Promise<boolean>;
  /** Nothing of it runs. */
  down: () => Promise<boolean>;
  /** As its own init system or a person does it. */
  start: () => Promise<void>;
  stop: () => Promise<void>;
  /** As a lost power supply does it. */
  kill: () => Promise<void>;
  pids: () => number[];
  /** All live data that a backup is to keep, a line each. */
  look: () => Promise<string[]>;
  /** The same of what an engine's own tool has restored. `tree`: host paths below it; `staging`: what was captured, below it. */
  lookIn: (tree: string, staging: string) => Promise<string[]>;
  /** A line of `look` as far as a bare engine brings it back. */
  bare?: (line: string) => string;
  /** Makes another generation of every part. */
  change: (generation: number) => Promise<void>;
  /** What of ours lies outside the file system and is not noted as kept; clears what is. */
  left?: (noted: string) => Promise<string[]>;
  /** Snapshots of repositories of other kinds than restic and archive. */
  snapshots?: () => Promise<{ id: string; repository: string; captureId: string }[]>;
  /** Unpacks one of those, or of an archive that is not plain, below `tree`. */
  unpack?: (snapshot: { id: string; repository: string }, tree: string) => Promise<void>;
  end?: () => Promise<void>;
}

/** Of an application that no run ever stops. */
export const NEVER_STOPPED = {
  service: false,
  up: async () => true,
  down: async () => true,
  start: async () => {},
  stop: async () => {},
  kill: async () => {},
  pids: () => [],
} satisfies Partial<AppSite>;

/** Kind, mode, owner, time of change, contents and target of everything below `dir` but `skip`, by its path there. */
export async function filesIn(dir: string, skip: RegExp, prefix = ''): Promise<string[]> {
  const script = `find . -mindepth 1 -type f -printf '%P\\t%y %m %U %G %Ts\\n' -o -mindepth 1 -printf '%P\\t%y %m %U %G %l\\n'; echo; find . -type f -exec sha256sum {} +`;
  const { stdout } = await run('sh', ['-uc', script], { cwd: dir, maxBuffer: 64e6 });
  const [about = '', sums = ''] = stdout.split('\n\n');
  const hashes = new Map(sums.split('\n').map((line) => [line.slice(68), line.slice(0, 64)]));
  return about
    .split('\n')
    .filter((line) => line !== '' && !skip.test(line.split('\t')[0] as string))
    .map((line) => `${prefix}${line} ${hashes.get(line.split('\t')[0] as string) ?? ''}`)
    .sort();
}
