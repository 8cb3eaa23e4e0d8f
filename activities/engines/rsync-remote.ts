import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { RepositorySpec, SshSpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import { workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { RSYNC_CODES, remotePath, rshOf } from '../tools/rsync.js';
import { rsyncFailure } from './rsync-failure.js';
import { listOf, type Tree } from './rsync-tree.js';

/** The way to a repository of another machine that this one may read; undefined for its own. */
export function remoteOf({ host, ssh }: RepositorySpec, ctx: Context): SshSpec | undefined {
  return host !== undefined && host !== ctx.host ? ssh : undefined;
}

/** What only the machine of a repository does: its worker is asked for it. */
export function mustBeHere(repo: RepositorySpec, ctx: Context): void {
  if (repo.host !== undefined && repo.host !== ctx.host)
    throw ctx.fail('InvalidConfig', `repository ${repo.name} is on ${repo.host}`, {
      advice: 'its own worker does this; with `ssh` this host can read what is there (docs/hosts.md)',
    });
}

/** Marks of another machine's trees, copied here: returns the repository as it lies in that copy. */
export async function mirrored(repo: RepositorySpec, ssh: SshSpec, ctx: Context): Promise<RepositorySpec> {
  const location = join(workOf(ctx), `marks-${repo.name}`);
  await mkdir(location, { recursive: true, mode: 0o700 });
  const filters = ['--include=/*/', '--include=/*.json', '--include=/*/*.json', '--exclude=*', '--delete'];
  const args = ['--recursive', '--times', ...filters, `--rsh=${rshOf(ssh)}`];
  const result = await ctx.run('rsync', [...args, remotePath(ssh, `${repo.location}/`), `${location}/`], {
    ok: RSYNC_CODES,
    idleMs: ANSWER_MS,
  });
  if (result.exitCode === 23)
    throw ctx.fail('RepositoryMissing', `there is no rsync repository for ${repo.name} on ${repo.host}`);
  const failed = rsyncFailure(result, repo.name, ssh, ctx);
  if (failed) throw failed;
  return { ...repo, location };
}

/** Fetches the list of a mirrored tree. */
export async function fetchList(repo: RepositorySpec, ssh: SshSpec, tree: Tree, ctx: Context): Promise<void> {
  const there = listOf(join(repo.location, basename(tree.dir)), tree.id);
  const result = await ctx.run('rsync', ['--times', `--rsh=${rshOf(ssh)}`, remotePath(ssh, there), tree.list], {
    ok: RSYNC_CODES,
    idleMs: ANSWER_MS,
  });
  const failed = result.exitCode === 23 ? undefined : rsyncFailure(result, repo.name, ssh, ctx);
  if (failed) throw failed;
  if (result.exitCode === 23 || (await sha256Of(tree.list)) !== tree.mark.listSha256)
    throw ctx.fail('RepositoryDamaged', `the list of a tree in ${repo.name} is damaged`, {
      details: { places: [tree.id] },
    });
}

const ANSWER_MS = 120_000;
