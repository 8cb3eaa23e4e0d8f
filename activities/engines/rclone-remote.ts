import { isAbsolute } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import type { Context, RunOptions, RunResult } from '../contracts.js';
import { classify, parseS3, RCLONE_CODES, REMOTE, remoteEnv } from '../tools/rclone.js';
import { IDLE_MS } from './lines.js';

/** How rclone gets at a repository: a directory, `s3:https://…`, or `rclone:<remote>:<path>` of a configuration of its own. */
interface Place {
  at: string;
  env: Record<string, string>;
}

function placeOf(repo: RepositorySpec, ctx: Context): Place {
  if (isAbsolute(repo.location)) return { at: repo.location, env: { RCLONE_CONFIG: '/dev/null' } };
  const s3 = parseS3(repo.location);
  if (s3) return { at: `${REMOTE}:${s3.path}`, env: remoteEnv(s3) };
  const [, at] = /^rclone:(.+:.*)$/.exec(repo.location) ?? [];
  if (at) return { at, env: {} };
  throw ctx.fail('InvalidConfig', `the location of repository ${repo.name} is none that rclone takes`, {
    advice: 'write a directory, s3:https://<endpoint>/<bucket>, or rclone:<remote>:<path>',
  });
}

export function pathIn(repo: RepositorySpec, name: string, ctx: Context): string {
  const { at } = placeOf(repo, ctx);
  return /[:/]$/.test(at) ? at + name : `${at}/${name}`;
}

/** Nothing is tried again inside: a step is. Several streams of one file would leave a half one of full length. */
const FIXED = ['--retries', '1', '--multi-thread-streams', '0', '--local-no-preallocate', '--stats', '1s'];
const PROGRESS = ['--use-json-log', '--stats-log-level', 'NOTICE'];

/** Runs rclone; a code that is not in `ok` becomes a failure of the catalogue. */
export async function rclone(
  repo: RepositorySpec,
  args: readonly string[],
  options: RunOptions,
  ctx: Context,
): Promise<RunResult> {
  const { env } = placeOf(repo, ctx);
  const secretEnv: Record<string, string> = {};
  for (const [name, ref] of Object.entries(repo.credentials)) secretEnv[name] = await ctx.secret(ref);
  const { uploadLimit: up, downloadLimit: down } = repo;
  const rate = (limit: number | undefined) => (limit === undefined ? 'off' : `${Math.round(limit)}B`);
  const limits = up === undefined && down === undefined ? [] : ['--bwlimit', `${rate(up)}:${rate(down)}`];
  const result = await ctx.run('rclone', [...args, ...FIXED, ...limits, ...PROGRESS], {
    ...options,
    env,
    secretEnv,
    ok: RCLONE_CODES,
    idleMs: IDLE_MS,
    onErrorLine: (line) => {
      const bytes = /"bytes":(\d+)/.exec(line)?.[1];
      ctx.beat(bytes === undefined ? undefined : { bytes: Number(bytes) });
    },
  });
  if ((options.ok ?? [0]).includes(result.exitCode)) return result;
  const { exitCode, stderrTail } = result;
  const type = classify(result) ?? 'ToolFailed';
  const details = { tool: 'rclone', exitCode, stderrTail };
  throw ctx.fail(type, `rclone ended with exit code ${exitCode} for repository ${repo.name}`, { details });
}
