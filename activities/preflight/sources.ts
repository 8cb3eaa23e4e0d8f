import { access, constants, lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileSetSpec, Plan } from '../../src/core/plan.js';
import { walk } from '../capture/walk.js';
import { findLiveDatabases } from '../checks/live-databases.js';
import { databases } from '../databases/index.js';
import type { Env } from '../step.js';
import { findProgram } from '../tools/programs.js';

/** Databases and file sets are there and readable, and nothing is copied that must be dumped. Returns the bytes that staging needs. */
export async function preflightSources(plan: Plan, { ctx }: Pick<Env, 'ctx'>): Promise<number> {
  let bytes = 0;
  for (const spec of plan.databases) bytes += (await databases[spec.kind].preflight(spec, ctx)).bytes;
  for (const set of plan.fileSets) {
    if (!(await present(set, ctx))) continue;
    if (set.change === 'mutable') {
      if (set.include.length === 0 && !findProgram('rsync')) {
        throw ctx.fail('ToolMissing', `the program rsync is not installed; file set ${set.name} needs it`);
      }
      for await (const line of walk(set, (path) => unreadable(set, path, ctx))) {
        bytes += line.s;
        ctx.beat();
      }
    }
  }
  await findLiveDatabases(plan.fileSets, ctx);
  return bytes;
}

/** Whether the set is there; throws where it must be and is not, or has nothing in it. */
async function present(set: FileSetSpec, ctx: Env['ctx']): Promise<boolean> {
  const stats = await lstat(set.root).catch(() => undefined);
  if (!stats) {
    if (set.optional) return false;
    throw ctx.fail('SourceMissing', `file set ${set.name} is not there: ${set.root}`);
  }
  if (stats.isSymbolicLink() && set.change !== 'mutable') {
    throw ctx.fail(
      'InvalidConfig',
      `file set ${set.name} is a symbolic link, which an engine stores as such: ${set.root}`,
      {
        advice: 'name the directory that it leads to',
      },
    );
  }
  await access(set.root, constants.R_OK | constants.X_OK).catch(() => unreadable(set, '.', ctx));
  if (set.optional || set.mayBeEmpty) return true;
  const dir = await opendir(set.root);
  const first = await dir.read();
  await dir.close();
  if (!first) throw ctx.fail('SourceEmpty', `file set ${set.name} has no file`);
  return true;
}

function unreadable(set: FileSetSpec, path: string, ctx: Env['ctx']): never {
  throw ctx.fail('SourceUnreadable', `file set ${set.name} cannot be read at ${join(set.root, path)}`);
}
