import { lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileSetSpec, Plan } from '../../src/core/plan.js';
import type { Fence } from '../contracts.js';
import type { PlannedEnv } from '../step.js';
import { FILES } from './layout.js';
import { walk } from './walk.js';

/**
 * Copies the mutable file sets below the capture, with owners, modes, times, xattrs and ACLs. A set named by single
 * files is copied by cp; a whole tree by rsync, which carries on from what the warm pass has brought.
 */
export async function copyMutableSets(
  plan: Plan,
  dir: string,
  fence: Fence | undefined,
  env: PlannedEnv,
): Promise<void> {
  for (const set of plan.fileSets) {
    if (set.change !== 'mutable') continue;
    if (!(await exists(set.root))) {
      // It was there at the preflight: a mount that went away with the application, say.
      if (!set.optional) throw env.ctx.fail('SourceMissing', `file set ${set.name} is gone: ${set.root}`);
      continue;
    }
    const target = join(dir, FILES, set.name);
    await mkdir(target, { recursive: true, mode: 0o700 });
    if (set.include.length === 0) await copyTree(set, target, fence, env);
    else await copyNamed(set, target, fence, env);
  }
}

/** Where the warm pass of a set lies: hard links make the tree of the capture from it without a second copy. */
export function warmDirectory(env: PlannedEnv, set: FileSetSpec): string {
  return join(env.deps.state.captures(env.plan.site), 'warm', set.name);
}

/**
 * `ok`: exit codes of rsync that are no failure; 24 (files vanished) is normal only while the application runs. What is the same
 * below `warm` becomes a hard link to it.
 */
export async function copyTree(
  set: FileSetSpec,
  target: string,
  fence: Fence | undefined,
  env: PlannedEnv,
  ok: number[] = [0],
  warm: string = warmDirectory(env, set),
): Promise<void> {
  const excludes = set.exclude.map((pattern) => `--exclude=/${pattern.replace(/^\//, '')}`);
  await env.ctx.run(
    'rsync',
    [
      '-aHAXS',
      // Else a file that changed twice within one second, once before the warm pass, is taken for unchanged.
      '--modify-window=-1',
      '--numeric-ids',
      '--delete',
      '--info=progress2',
      ...excludes,
      ...(warm && warm !== target && (await exists(warm)) ? [`--link-dest=${warm}`] : []),
      `${set.root}/`,
      `${target}/`,
    ],
    { ...(fence ? { fence } : {}), ok, idleMs: env.plan.limits.idleMs, onLine: () => env.ctx.beat() },
  );
}

/** `how`: what tells cp to copy, or to link. */
export async function copyNamed(
  set: FileSetSpec,
  target: string,
  fence: Fence | undefined,
  { ctx }: PlannedEnv,
  how = '--reflink=auto',
): Promise<void> {
  const lines = [];
  for await (const line of walk(set, (path) => {
    throw ctx.fail('SourceUnreadable', `file set ${set.name} cannot be read at ${path}`);
  }))
    lines.push(line);
  const files = lines.filter((line) => line.t !== 'd');
  for (const path of new Set(lines.map((line) => dirname(line.p))))
    await mkdir(join(target, path), { recursive: true });
  const batch = 500;
  for (let i = 0; i < files.length; i += batch) {
    const names = files.slice(i, i + batch).map((line) => `./${line.p}`);
    await ctx.run('cp', ['-a', how, '--parents', '--', ...names, target], {
      cwd: set.root,
      ...(fence ? { fence } : {}),
    });
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => undefined)) !== undefined;
}
