import { readlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFailure } from '../../src/core/failures.js';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, RunOptions, RunResult } from '../contracts.js';
import { stat } from '../site/marks.js';
import { classify, Lock, parseLine, RESTIC_CODES } from '../tools/restic.js';
import { assertMounted } from './location.js';

/** Environment and global flags of every call. Password and credentials never become an argument. */
export async function callOf(
  repo: RepositorySpec,
  ctx: Context,
  workDir?: string,
): Promise<{ flags: string[]; options: RunOptions }> {
  if (!repo.password)
    throw ctx.fail('InvalidConfig', `repository ${repo.name} has no password`, {
      advice: 'name one: restic encrypts always',
    });
  const secretEnv: Record<string, string> = { RESTIC_PASSWORD: await ctx.secret(repo.password) };
  for (const [name, ref] of Object.entries(repo.credentials)) secretEnv[name] = await ctx.secret(ref);
  const cache = ctx.cacheDir ?? workDir;
  return {
    flags: [...limit('upload', repo.uploadLimit), ...limit('download', repo.downloadLimit)],
    options: {
      ok: RESTIC_CODES,
      secretEnv,
      // The second variable makes a slow progress stream even where nobody watches.
      env: {
        RESTIC_REPOSITORY: repo.location,
        RESTIC_PROGRESS_FPS: '0.5',
        ...(cache ? { RESTIC_CACHE_DIR: join(cache, 'restic') } : {}),
      },
    },
  };
}

/** Bytes per second → restic's KiB/s. */
function limit(way: 'upload' | 'download', bytes: number | undefined): string[] {
  return bytes === undefined ? [] : [`--limit-${way}`, String(Math.max(1, Math.floor(bytes / 1024)))];
}

/** The failure that a result means, or undefined for success. `fallback` names what has no name of its own. */
export function failureOf(
  repo: RepositorySpec,
  verb: string,
  result: RunResult,
  ctx: Context,
  fallback: 'ToolFailed' | 'RepositoryDamaged' = 'ToolFailed',
): Error | undefined {
  const { exitCode, stderrTail } = result;
  if (exitCode === 0) return undefined;
  const type = classify(exitCode, stderrTail) ?? fallback;
  const words: Partial<Record<typeof type, string>> = {
    RepositoryMissing: `there is no restic repository for ${repo.name}`,
    RepositoryPassword: `wrong password for repository ${repo.name}`,
    RepositoryLocked: `repository ${repo.name} is locked`,
    RepositoryUnreachable: `repository ${repo.name} does not answer`,
    RepositoryDenied: `repository ${repo.name} refuses access`,
    RepositoryDamaged: `repository ${repo.name} is damaged`,
    SnapshotMissing: `repository ${repo.name} has no such snapshot`,
    DiskFull: `a disk filled up during restic ${verb} for repository ${repo.name}`,
  };
  return ctx.fail(type, words[type] ?? `restic ${verb} ended with exit code ${exitCode} for repository ${repo.name}`, {
    details: { tool: 'restic', exitCode, stderrTail },
  });
}

/** Runs one restic command. A lock that a dead process of this host left behind is removed once; then it is run again. */
export async function restic(
  repo: RepositorySpec,
  args: readonly string[],
  ctx: Context,
  more: { workDir?: string; options?: RunOptions; accept?: number[] } = {},
): Promise<RunResult> {
  await assertMounted(repo, ctx);
  const [verb = ''] = args;
  const { flags, options } = await callOf(repo, ctx, more.workDir);
  const all: RunOptions = { ...options, ...more.options };
  const call = (): Promise<RunResult> => ctx.run('restic', [...args, ...flags], all).catch(stalled(repo, verb, ctx));
  let result = await call();
  if (classify(result.exitCode, result.stderrTail) === 'RepositoryLocked') {
    await clearStaleLocks(repo, ctx);
    result = await call();
  }
  if (more.accept?.includes(result.exitCode)) return result;
  const failure = failureOf(repo, verb, result, ctx, verb === 'check' ? 'RepositoryDamaged' : 'ToolFailed');
  if (failure) throw failure;
  return result;
}

/** A command of a remote repository that never answers is a network's matter, and waits as one. */
export function stalled(repo: RepositorySpec, verb: string, ctx: Context): (error: unknown) => never {
  return (error) => {
    if (!isFailure(error, 'ToolStalled')) throw error;
    throw ctx.fail('RepositoryUnreachable', `repository ${repo.name} did not answer restic ${verb}`, { cause: error });
  };
}

/** The first PID namespace of a machine has this number in every kernel. */
const FIRST_PID_NAMESPACE = 'pid:[4026531836]';
/** restic refreshes a lock every 5 minutes and calls it stale after 30. */
const STALE_MS = 30 * 60_000;

/** Some parents take seconds to note the end of a child that they adopted. */
const NOTED_WITHIN_MS = 10_000;

/** Whether a process has ended. One whose end nobody noted (a zombie) is waited for: restic itself takes it for alive. */
async function isGone(pid: number): Promise<boolean> {
  const until = performance.now() + NOTED_WITHIN_MS;
  let found = stat(pid);
  while (found && 'ZX'.includes(found.state) && performance.now() < until) {
    await sleep(100);
    found = stat(pid);
  }
  return found === undefined;
}

/**
 * `restic unlock` (never --remove-all) where each lock is stale: its process on this host is dead, or it was not
 * refreshed for 30 min. Inside a container every process of another one looks dead, so there only age counts.
 */
async function clearStaleLocks(repo: RepositorySpec, ctx: Context): Promise<void> {
  const seesAll = (await readlink('/proc/self/ns/pid')) === FIRST_PID_NAMESPACE;
  const { flags, options } = await callOf(repo, ctx);
  const read = async (...args: string[]) =>
    (await ctx.run('restic', [...args, '--no-lock', '--quiet', ...flags], options)).stdout;
  for (const id of (await read('list', 'locks')).split('\n').filter((line) => /^[0-9a-f]{64}$/.test(line))) {
    const text = await read('cat', 'lock', id);
    const lock = Lock.safeParse(parseLine(text.replace(/\n/g, ' ').trim())).data;
    if (!lock) continue; // released meanwhile
    const old = Date.now() - Date.parse(lock.time) > STALE_MS;
    const dead = seesAll && lock.hostname === hostname() && (await isGone(lock.pid));
    if (!old && !dead)
      throw ctx.fail(
        'RepositoryLocked',
        `repository ${repo.name} is locked by process ${lock.pid} on ${lock.hostname} since ${lock.time.slice(0, 19)}Z`,
      );
  }
  await ctx.run('restic', ['unlock', '--quiet', ...flags], options);
  ctx.note(`a lock that a dead process had left in repository ${repo.name} was removed`);
}
