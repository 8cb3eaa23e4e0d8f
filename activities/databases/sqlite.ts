import { realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { formatBytes } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import { sha256Of } from '../capture/lines.js';
import { freshDir, workOf } from '../capture/workdir.js';
import type { Context, Database } from '../contracts.js';
import { syncDirectory, syncFile } from '../site/durable.js';
import { holders, sqlite } from '../tools/sqlite.js';
import { fingerprint } from './fingerprint.js';
import { assertFolded, copyFile, dumpFile, dumpText, loadText, sizeOf } from './sqlite-forms.js';

type Spec = Extract<DatabaseSpec, { kind: 'sqlite' }>;

const SIDECARS = ['-wal', '-shm', '-journal'];

/** The file itself: SQLite puts the WAL beside what a symbolic link points to. */
async function fileOf(spec: Spec, ctx: Context): Promise<string> {
  const path = await realpath(spec.path).catch((cause) => {
    throw cause.code === 'EACCES'
      ? ctx.fail('SourceUnreadable', `${spec.path} cannot be reached`, { cause })
      : ctx.fail('DatabaseMissing', `there is no ${spec.path}`, { cause });
  });
  const stats = await stat(path);
  if (!stats.isFile()) throw ctx.fail('DatabaseMissing', `${spec.path} is no file`);
  if (stats.size === 0 && (await sizeOf(`${path}-wal`)) === 0)
    throw ctx.fail('DumpEmpty', `${spec.path} is an empty file`);
  return path;
}

async function prepared(spec: Spec, dir: string, ctx: Context) {
  const path = await fileOf(spec, ctx);
  const { mode, uid, gid } = await stat(path);
  const online = spec.mode === 'online';
  if (!online) await assertFolded(path, ctx);
  const file = `${spec.name}.${spec.format === 'sql' ? 'sql' : 'sqlite'}`;
  const target = join(dir, file);
  // What an earlier attempt left would be read as part of this one.
  await removeAll([target, ...SIDECARS.map((suffix) => target + suffix)]);
  return { path, online, file, target, owner: { mode: mode & 0o7777, uid, gid } };
}

function mustHaveTables({ tables }: Fingerprint, name: string, ctx: Context): void {
  if (Object.keys(tables).length === 0)
    throw ctx.fail('DumpEmpty', `${name} has no table`, { advice: 'look whether its write-ahead log was lost' });
}

/** Reading a copy takes as long as making it does: the application need not wait for that. */
const halves: NonNullable<Database<Spec>['halves']> = {
  async copy(spec, dir, fence, ctx) {
    const { path, online, file, target, owner } = await prepared(spec, dir, ctx);
    const bytes = await dumpFile(path, target, online, fence, ctx);
    return { file, bytes, ...owner };
  },

  async describe(file, name, ctx) {
    const [described, sha256] = await Promise.all([
      fingerprint(file, 'frozen', ctx).catch((error) => {
        if (!isFailure(error, 'DatabaseCorrupt')) throw error;
        throw ctx.fail('DatabaseCorrupt', `the copy of database ${name} cannot be read as a database`, {
          cause: error,
        });
      }),
      sha256Of(file),
      syncFile(file),
    ]);
    mustHaveTables(described, name, ctx);
    await syncDirectory(dirname(file));
    return { sha256, fingerprint: described };
  },
};

/**
 * SQLite by its command-line program. Stopped: checkpoint, then a copy of the main file, which holds everything then.
 * Online: VACUUM INTO, because a chunked `.backup` begins anew with each foreign write and may never end.
 */
export const sqliteDatabase: Database<Spec> = {
  kind: 'sqlite',

  async preflight(spec, ctx) {
    const path = await fileOf(spec, ctx);
    const { stdout } = await ctx.run('sqlite3', ['-version']);
    const version = stdout.split(' ')[0] ?? '';
    const [major = 0, minor = 0] = version.split('.').map(Number);
    if (major < 3 || (major === 3 && minor < 33))
      throw ctx.fail('ToolTooOld', `sqlite3 is ${version}; 3.33 or newer is needed`);
    await sqlite(path, 'SELECT count(*) FROM sqlite_schema;', { access: 'read' }, ctx);
    const bytes = (await sizeOf(path)) + (await sizeOf(`${path}-wal`));
    // SQL text is made from a copy where the application goes on writing.
    const factor = spec.format === 'sql' ? 2 : 1;
    return { bytes: bytes * (spec.mode === 'online' ? factor : 1) * factor, tools: { sqlite3: version } };
  },

  async checkpoint(spec, fence, ctx) {
    if (spec.mode === 'online') return { said: `${spec.name} is taken online` };
    const path = await fileOf(spec, ctx);
    const wal = await sizeOf(`${path}-wal`);
    // Reading rolls an interrupted transaction of a rollback journal back. The pragma's exit code is 0 even when busy.
    const script = 'SELECT count(*) FROM sqlite_schema;\nPRAGMA wal_checkpoint(TRUNCATE);';
    const said = await sqlite(path, script, { access: 'write', fence }, ctx);
    const [busy, log, folded] = said.trim().split('\n').at(-1)?.split('|') ?? [];
    if (busy !== '0' || log !== folded) {
      throw ctx.fail('CheckpointBusy', `the write-ahead log of ${spec.name} is in use${await holders(path)}`, {
        advice: 'end that process; with Litestream attached take the database online',
        details: { tool: 'sqlite3', places: [path] },
      });
    }
    await assertFolded(path, ctx);
    return {
      said: wal > 0 ? `folded ${formatBytes(wal)} of ${spec.name}'s log in` : `${spec.name} had nothing to fold in`,
    };
  },

  async dump(spec, dir, fence, ctx) {
    if (spec.format === 'file') {
      const copied = await halves.copy(spec, dir, fence, ctx);
      return { ...copied, ...(await halves.describe(join(dir, copied.file), spec.name, ctx)) };
    }
    const { path, online, file, target, owner } = await prepared(spec, dir, ctx);
    const described = await dumpText(path, target, online, fence, ctx);
    mustHaveTables(described.fingerprint, spec.name, ctx);
    await syncDirectory(dir);
    return { file, ...described, ...owner };
  },

  halves,

  live: (spec, ctx) => fingerprint(spec.path, 'read', ctx),

  async inspect(file, format, ctx) {
    if (format === 'file') return fingerprint(file, 'frozen', ctx);
    const scratch = await freshDir(workOf(ctx));
    try {
      const target = join(scratch, 'loaded.sqlite');
      await loadText(file, target, ctx);
      return await fingerprint(target, 'frozen', ctx);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
  },

  async load(file, format, target, ctx) {
    await removeAll([target, ...sqliteDatabase.sidecars(target)]);
    if (format === 'sql') await loadText(file, target, ctx);
    else await copyFile(file, target, undefined, ctx);
    const problems = await integrity(target, ctx);
    if (problems.length > 0)
      throw ctx.fail('DatabaseCorrupt', `${file} does not pass its integrity check`, { details: { places: problems } });
    return fingerprint(target, 'frozen', ctx);
  },

  sidecars: (path) => SIDECARS.map((suffix) => path + suffix),
};

/** At most 20 findings of the full integrity check; none means that the database is whole. The file is not changed. */
export async function integrity(path: string, ctx: Context): Promise<string[]> {
  const said = (await sqlite(path, 'PRAGMA integrity_check(20);', { access: 'frozen' }, ctx)).trim();
  return said === 'ok' ? [] : said.split('\n').slice(0, 20);
}

async function removeAll(paths: string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}
