import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, rename, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Command } from '../../src/core/plan.js';
import { exists } from '../capture/copy.js';
import { workOf } from '../capture/workdir.js';
import type { Context, Exchangeable, Fence } from '../contracts.js';
import { runCommand } from '../services/commands.js';
import { syncDirectory, syncFile, writeDurable } from '../site/durable.js';
import { wasKilled } from '../tools/killed.js';
import { type CommandSpec, dumpCommand, proofOf } from './command-dump.js';

/**
 * What a run keeps of one exchange: the output to load, the one that was there before, and a mark that the load has begun. In the state
 * directory, as the tree that a restore fetched goes with its run.
 */
function placeOf(spec: CommandSpec, tag: string, ctx: Context) {
  const own = createHash('sha256')
    .update(JSON.stringify([spec.name, spec.dump.argv]))
    .digest('hex')
    .slice(0, 8);
  const dir = join(workOf(ctx), 'exchanges', `${tag}-${own}`);
  return {
    dir,
    incoming: join(dir, 'new'),
    before: join(dir, 'before.out'),
    begun: join(dir, 'begun'),
    done: join(dir, 'done'),
  };
}

/**
 * With a load command the dump replaces what is there, and what was there is dumped before, to be loaded again where it is taken back. Without
 * one nothing can be exchanged: the dump is kept for its owner to import.
 */
export const commandExchange: Exchangeable<CommandSpec> = {
  async stage(spec, file, tag, ctx) {
    const { dir, incoming } = placeOf(spec, tag, ctx);
    const kept = spec.load ? incoming : join(dir, basename(file));
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await rm(`${kept}.partial`, { force: true });
    await copyFile(file, `${kept}.partial`);
    await chmod(`${kept}.partial`, 0o600);
    await syncFile(`${kept}.partial`);
    await rename(`${kept}.partial`, kept);
    await syncDirectory(dir);
    if (spec.load) return { said: `${spec.name} is ready to be loaded by its command` };
    ctx.note(`${spec.name} has no load command: import it by hand from ${kept}, which is kept for 7 days`);
    return { said: `${spec.name} is to be imported by hand` };
  },

  async exchange(spec, tag, fence, ctx) {
    if (!spec.load) return;
    const { dir, incoming, before, begun, done } = placeOf(spec, tag, ctx);
    if (await exists(done)) return;
    if (!(await exists(incoming)))
      throw ctx.fail('RestoreFailed', `what was to take the place of ${spec.name} is not there`, {
        advice: 'start the restore again',
      });
    // Of a load that broke off nobody wants a dump.
    if (!(await exists(begun))) {
      // Of an earlier section, after which the application has worked on.
      await rm(before, { force: true });
      await keepBefore(spec, before, fence, ctx);
      await writeDurable(begun, '');
    }
    await loadFrom(spec.load, incoming, fence, ctx);
    await writeDurable(done, '');
    await syncDirectory(dir);
  },

  async takeBack(spec, tag, ctx) {
    const { dir, before, begun, done } = placeOf(spec, tag, ctx);
    if (!spec.load || !(await exists(begun))) return;
    if (await exists(before)) await loadFrom(spec.load, before, undefined, ctx);
    else ctx.note(`${spec.name} stays as it was restored: what was there before could not be dumped`);
    for (const mark of [done, begun]) await rm(mark, { force: true });
    await syncDirectory(dir);
  },

  async unstage(spec, tag, ctx) {
    await rm(placeOf(spec, tag, ctx).incoming, { force: true });
  },

  async drop(spec, tag, ctx) {
    await rm(placeOf(spec, tag, ctx).dir, { recursive: true, force: true });
  },
};

/** The live state may be a wreck: that is why it is restored. */
async function keepBefore(spec: CommandSpec, before: string, fence: Fence, ctx: Context): Promise<void> {
  try {
    await dumpCommand(spec, `${before}.partial`, fence, ctx);
    await rename(`${before}.partial`, before);
  } catch (error) {
    if (wasKilled(error) || !isFailure(error, 'ToolFailed', 'ToolStalled', 'DumpEmpty', 'DumpIncomplete')) throw error;
    ctx.note(`${spec.name} could not be dumped before it was replaced: there is no way back to what it had`);
  } finally {
    for (const path of [`${before}.partial`, proofOf(`${before}.partial`)]) await rm(path, { force: true });
  }
}

async function loadFrom(load: Command, file: string, fence: Fence | undefined, ctx: Context): Promise<void> {
  const input = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    await runCommand(load, ctx, { input, ...(fence ? { fence } : {}) });
  } finally {
    input.destroy();
  }
}
