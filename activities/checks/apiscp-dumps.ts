import { createReadStream } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { ACCOUNT } from '../../src/apps/apiscp.js';
import type { Context } from '../contracts.js';

/** A dump of one of an account's databases, as ApisCP's export left it in the account's home. */
export interface AccountDump {
  account: string;
  server: 'mysql' | 'pgsql';
  /** The database, as the file's name has it before its date. */
  database: string;
  path: string;
  bytes: number;
  mtimeMs: number;
}

/** Clocks of file systems are coarse: up to so much behind. */
const CLOCK_MS = 1000;

const DIRECTORIES = { mysql_backups: 'mysql', pgsql_backups: 'pgsql' } as const;
/** What its owner puts there besides is no export. */
const KNOWN = /\.(sql|gz|zip|bz2?)$/;

/** Accounts below `root`, by number. */
export async function accountsIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .flatMap((entry) => (entry.isDirectory() && ACCOUNT.test(entry.name) ? [entry.name] : []))
    .sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
}

/** Every dump of every account: `shadow/home/<user>/{mysql,pgsql}_backups` (facts). */
export async function* accountDumps(root: string): AsyncGenerator<AccountDump> {
  for (const account of await accountsIn(root)) {
    const home = join(root, account, 'shadow/home');
    for (const user of await namesIn(home))
      for (const [directory, server] of Object.entries(DIRECTORIES)) {
        const dir = join(home, user, directory);
        for (const name of await namesIn(dir)) {
          if (!KNOWN.test(name)) continue;
          const path = join(dir, name);
          const stats = await lstat(path).catch(() => undefined);
          if (!stats?.isFile()) continue;
          const database = name
            .replace(/[-_.]?\d{6,}.*$/, '')
            .replace(KNOWN, '')
            .replace(/\.sql$/, '');
          yield { account, server, database, path, bytes: stats.size, mtimeMs: stats.mtimeMs };
        }
      }
  }
}

/** Owners of accounts may put links there: they are not followed. */
async function namesIn(dir: string): Promise<string[]> {
  return (await lstat(dir).catch(() => undefined))?.isDirectory() ? readdir(dir) : [];
}

/** Dumps that a run's own export made, and how many databases have older ones only. */
export async function dumpsSince(root: string, since: number): Promise<{ fresh: AccountDump[]; stale: string[] }> {
  const fresh: AccountDump[] = [];
  const newest = new Map<string, boolean>();
  for await (const dump of accountDumps(root)) {
    const isFresh = dump.mtimeMs >= since - CLOCK_MS;
    const database = `${dump.account}: ${dump.server} ${dump.database}`;
    newest.set(database, isFresh || (newest.get(database) ?? false));
    if (isFresh) fresh.push(dump);
  }
  return { fresh, stale: [...newest].flatMap(([database, isFresh]) => (isFresh ? [] : [database])) };
}

/** Passes the text of a dump, unpacked, to `use`. Throws where the file cannot be unpacked to its end. */
export async function withText<T>(
  path: string,
  ctx: Context,
  use: (text: AsyncIterable<Buffer>) => Promise<T>,
): Promise<T> {
  const [program, ...args] = path.endsWith('.zip')
    ? ['unzip', '-p', path]
    : /\.bz2?$/.test(path)
      ? ['bzip2', '-dc', path]
      : [];
  if (program) {
    let result: { value: T } | undefined;
    const onStdout = async (stdout: Readable) => {
      result = { value: await use(stdout) };
    };
    await ctx.run(program, args, { onStdout });
    return (result as { value: T }).value;
  }
  const file = createReadStream(path, { highWaterMark: 1 << 18 });
  if (path.endsWith('.sql')) return use(file);
  const text = createGunzip();
  file.on('error', (error) => text.destroy(error));
  return use(file.pipe(text));
}

const ENDS = {
  mysql: /^-- Dump completed( on .*)?$/m,
  pgsql: /^-- PostgreSQL database dump complete$/m,
};

const TAIL = 1024;

/** Why a dump is no whole one; undefined for a whole one. An exit code of the export proves nothing of it. */
export async function whyNotWhole(dump: AccountDump, ctx: Context): Promise<string | undefined> {
  if (dump.bytes === 0) return 'empty';
  try {
    const tail = await withText(dump.path, ctx, async (text) => {
      let last = Buffer.alloc(0);
      for await (const chunk of text) {
        last = Buffer.concat([last, chunk.subarray(-TAIL)]).subarray(-TAIL);
        ctx.beat();
      }
      return last.toString('latin1');
    });
    return ENDS[dump.server].test(tail) ? undefined : 'does not end as a whole dump does';
  } catch (error) {
    ctx.signal.throwIfAborted();
    return `cannot be unpacked (${(error as { type?: string }).type ?? (error as { code?: string }).code ?? 'damaged'})`;
  }
}
