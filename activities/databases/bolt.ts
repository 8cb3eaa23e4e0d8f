import { createHash } from 'node:crypto';
import { chmod, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { formatDuration } from '../../src/core/durations.js';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import type { Context, Database, Fence } from '../contracts.js';
import { syncDirectory, syncFile } from '../site/durable.js';
import { looksLikeBolt, NoBolt, readBolt } from '../tools/bolt.js';
import { copyFile } from './sqlite-forms.js';

type Spec = Extract<DatabaseSpec, { kind: 'bolt' }>;

/** flock's own exit code for a lock that somebody else has. */
const LOCKED = 75;

/** A snapshot that lags further behind the live file was not made by this run. */
const LAG_MS = 3600_000;

/**
 * A bbolt file. A copy of one that is open is broken eleven times of twelve, so it is made under bbolt's own lock, which the
 * application holds as long as it runs; or from a file-system snapshot, which is as after a power cut.
 */
export const boltDatabase: Database<Spec> = {
  kind: 'bolt',

  async preflight(spec, ctx) {
    const path = await fileOf(spec.path, ctx);
    if (spec.mode === 'online' && spec.snapshot === undefined)
      throw ctx.fail('InvalidConfig', `${spec.name} can be copied only while its application is stopped`, {
        advice: 'stop the application for it, or name its copy on a file-system snapshot',
      });
    if (!(await looksLikeBolt(path)))
      throw ctx.fail('DatabaseCorrupt', `${spec.name} is no bbolt file`, { details: { places: [path] } });
    const { stdout } = await ctx.run('flock', ['--version']);
    return { bytes: (await stat(path)).size, tools: { flock: /[\d.]+\d/.exec(stdout)?.[0] ?? '0' } };
  },

  async dump(spec, dir, fence, ctx) {
    const path = await fileOf(spec.path, ctx);
    const { mode, uid, gid } = await stat(path);
    const file = `${spec.name}.db`;
    const target = join(dir, file);
    await rm(target, { force: true });
    if (spec.snapshot === undefined) await copyLocked(spec, path, target, fence, ctx);
    else await copyFile(await freshSnapshot(spec, spec.snapshot, path, ctx), target, undefined, ctx);
    const [print, sha256] = [await fingerprint(target, ctx), await sha256Of(target)];
    if (Object.keys(print.tables).length === 0)
      throw ctx.fail('DumpEmpty', `${spec.name} has no bucket`, { details: { places: [path] } });
    await syncFile(target);
    await syncDirectory(dir);
    const { size: bytes } = await stat(target);
    const consistency = spec.snapshot === undefined ? 'full' : 'crash-like';
    return { file, bytes, sha256, fingerprint: print, consistency, mode: mode & 0o7777, uid, gid };
  },

  /** A reading of one that is in use may fail: nobody takes a copy of it. */
  live: async (spec, ctx) => fingerprint(await fileOf(spec.path, ctx), ctx),

  inspect: (file, _format, ctx) => fingerprint(file, ctx),

  async load(file, _format, target, ctx) {
    await rm(target, { force: true });
    await copyFile(file, target, undefined, ctx);
    return fingerprint(target, ctx);
  },

  sidecars: () => [],
};

/** bbolt's lock is one of the file itself; `flock` would make a file that is not there. */
async function copyLocked(
  spec: Spec,
  path: string,
  target: string,
  fence: Fence | undefined,
  ctx: Context,
): Promise<void> {
  const args = ['--nonblock', '--conflict-exit-code', String(LOCKED), path, 'cp', '--reflink=auto', '--', path, target];
  const { exitCode } = await ctx.run('flock', args, { ok: [0, LOCKED], ...(fence ? { fence } : {}) });
  if (exitCode === LOCKED)
    throw ctx.fail('DatabaseLocked', `${spec.name} is in use: its application is not stopped`, {
      advice: "stop what has it open, or take it by the application's own export",
      details: { places: [path] },
    });
  await chmod(target, 0o600);
}

async function freshSnapshot(spec: Spec, snapshot: string, live: string, ctx: Context): Promise<string> {
  const path = await fileOf(snapshot, ctx);
  const lag = (await stat(live)).mtimeMs - (await stat(path)).mtimeMs;
  if (lag > LAG_MS)
    throw ctx.fail('DatabaseMissing', `the snapshot of ${spec.name} is ${formatDuration(lag)} behind the live file`, {
      advice: 'make the snapshot in the hook `before` of each run',
      details: { places: [path] },
    });
  return path;
}

async function fileOf(path: string, ctx: Context): Promise<string> {
  const file = await realpath(path).catch((cause) => {
    throw ctx.fail('DatabaseMissing', `there is no ${path}`, { cause });
  });
  const stats = await stat(file);
  if (!stats.isFile()) throw ctx.fail('DatabaseMissing', `${path} is no file`);
  if (stats.size === 0) throw ctx.fail('DumpEmpty', `${path} is an empty file`);
  return file;
}

async function fingerprint(path: string, ctx: Context): Promise<Fingerprint> {
  try {
    const { buckets } = await readBolt(path, undefined, () => ctx.beat());
    const names = Object.keys(buckets).sort();
    return {
      tables: Object.fromEntries(names.map((name) => [name, buckets[name] ?? 0])),
      schemaSha256: createHash('sha256').update(names.join('\n')).digest('hex'),
      userVersion: 0,
    };
  } catch (error) {
    if (!(error instanceof NoBolt)) throw error;
    throw ctx.fail('DatabaseCorrupt', `the bbolt file is damaged: ${error.message}`, {
      details: { places: [`${path}: ${error.message}`] },
    });
  }
}
