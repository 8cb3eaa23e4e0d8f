import { mkdir, rm, writeFile } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { RepositorySpec } from '../../src/core/plan.js';
import { freshName } from '../capture/workdir.js';
import type { Context, RunResult } from '../contracts.js';
import { NO_SPACE, NOT_IN_ARCHIVE, type Packing, UNREADABLE, unpackArgs } from '../tools/tar.js';
import { IDLE_MS } from './lines.js';

/** Version of GNU tar. Throws ToolMissing where this machine has another one. */
export async function gnuTar(ctx: Context): Promise<string> {
  const tar = /^tar \(GNU tar\) (\S+)/.exec((await ctx.run('tar', ['--version'])).stdout)?.[1];
  if (!tar) throw ctx.fail('ToolMissing', 'the tar of this machine is not GNU tar', { advice: 'install GNU tar' });
  return tar;
}

/** Throws what an exit code 2 of a tar that wrote means: members are missing. */
export function mustHaveWritten(repo: RepositorySpec, { exitCode, stderrTail }: RunResult, ctx: Context): void {
  if (exitCode !== 2) return;
  const details = { tool: 'tar', exitCode, stderrTail };
  if (NO_SPACE.test(stderrTail))
    throw ctx.fail('DiskFull', `a disk filled up while tar wrote for ${repo.name}`, { details });
  if (UNREADABLE.test(stderrTail))
    throw ctx.fail('SnapshotIncomplete', `tar could not read some of the source for ${repo.name}`, { details });
  throw ctx.fail('ToolFailed', `tar ended with exit code 2 for repository ${repo.name}`, { details });
}

/** Gives `use` a file of the members to unpack, or nothing where all are wanted. */
export async function withMembers(
  { paths, workDir }: { paths?: string[]; workDir: string },
  use: (list: string | undefined) => Promise<void>,
): Promise<void> {
  const list = paths && freshName(workDir);
  try {
    if (list) {
      await mkdir(workDir, { recursive: true });
      await writeFile(list, paths.map((path) => `${path.replace(/^\/+/, '')}\0`).join(''), { mode: 0o600 });
    }
    await use(list);
  } finally {
    if (list) await rm(list, { force: true });
  }
}

/** Unpacks a stream below `target`. What it returns judges tar's own words: `what` it is of may turn out damaged first. */
export async function extract(
  plain: Readable,
  packing: Packing,
  target: string,
  list: string | undefined,
  what: string,
  ctx: Context,
): Promise<() => void> {
  const { exitCode, stderrTail } = await ctx.run('tar', unpackArgs(packing, target, list), {
    ...{ input: plain, ok: [0, 2], idleMs: IDLE_MS },
  });
  const details = { tool: 'tar', exitCode, stderrTail };
  if (NO_SPACE.test(stderrTail)) throw ctx.fail('DiskFull', 'the disk of the restore filled up', { details });
  return () => {
    // A path that it does not hold is the caller's to judge, by what came out.
    if (exitCode !== 0 && !NOT_IN_ARCHIVE.test(stderrTail))
      throw ctx.fail('ToolFailed', `tar could not restore all of ${what}`, { details });
  };
}
