import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFailure } from '../../src/core/failures.js';
import { withDirOutside, workOf } from '../capture/workdir.js';
import type { Context, Run } from '../contracts.js';
import { type MysqlServer, serverOf } from './mysql.js';
import { findProgram } from './programs.js';

const STARTS_MS = 60_000;
const ENDS_MS = 60_000;
const POLL_MS = 30;

/** Nothing in it outlives it, so it need not survive a power cut; no event of the dump's runs in it, and nothing reaches out. */
const OPTIONS = [
  '--skip-networking',
  '--socket=s',
  '--pid-file=pid',
  '--event-scheduler=OFF',
  '--loose-mysqlx=OFF',
  '--skip-log-bin',
  '--local-infile=0',
  '--max-allowed-packet=1G',
  '--innodb-flush-log-at-trx-commit=0',
  '--innodb-doublewrite=0',
];

/**
 * $1 the data directory, $2 an empty directory that anybody may enter, $3 user and $4 group ids. The tree above a scratch directory is
 * closed to everybody else, so it is shown to that user under another name, in a mount namespace of its own.
 */
const AS_OTHER = `
mount --bind "$1" "$2" && cd "$2" || exit
uid=$3 gid=$4; shift 4
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --pdeathsig KILL -- "$@"`;

/** How the server's programs run: as the user that the data belongs to; `data` is the data directory as they see it. */
interface Place {
  data: string;
  more: string[];
  run: Run;
}

/**
 * A server of our own below `dir`: its own data, a socket there and no network, as an unprivileged user where we are root. It has ended
 * and its data is gone when this returns, whatever happens. Throws ToolMissing where the machine has no server program.
 */
export async function withThrowaway<T>(
  dir: string,
  ctx: Context,
  use: (server: MysqlServer) => Promise<T>,
): Promise<T> {
  const program = serverProgram('mariadbd') ?? serverProgram('mysqld');
  if (!program)
    throw ctx.fail('ToolMissing', 'no mariadbd or mysqld is installed for a throw-away server', {
      advice: 'install mariadb-server on this host (it need not run)',
    });
  const data = join(dir, 'data');
  await rm(data, { recursive: true, force: true });
  await mkdir(data, { recursive: true, mode: 0o700 });
  try {
    return await withDirOutside(workOf(ctx), async (shown) => {
      const place = await placeOf(data, shown, ctx);
      await initialise(program, place);
      return serve(program, data, place, ctx, use);
    });
  } finally {
    await rm(data, { recursive: true, force: true });
  }
}

/**
 * Its temporary directory too: a server that begins removes every `#sql…` there, and of a directory that it shares, the temporary tables
 * that the queries of other servers, the live one's too, are working with (measured with MariaDB 10.11).
 */
const placedIn = (data: string): string[] => [`--datadir=${data}`, `--tmpdir=${data}`];

/** Servers lie where only root's PATH looks. */
function serverProgram(name: string): string | undefined {
  return findProgram(name, `${process.env.PATH ?? ''}:/usr/bin:/usr/sbin:/usr/local/sbin:/usr/libexec`);
}

async function placeOf(data: string, shown: string, ctx: Context): Promise<Place> {
  const run: Run = (program, args, options) => ctx.run(program, args, { ...options, cwd: data });
  if (process.getuid?.() !== 0) return { data, more: [], run };
  const { uid, gid } = await unprivileged(ctx);
  await chown(data, uid, gid);
  await chmod(shown, 0o755);
  const inside = ['--mount', 'sh', '-c', AS_OTHER, 'holdfast', data, shown, String(uid), String(gid)];
  const asOther: Run = (program, args, options) => ctx.run('unshare', [...inside, program, ...args], options);
  const { exitCode } = await asOther('true', [], { ok: Array.from({ length: 256 }, (_, code) => code) });
  if (exitCode === 0) return { data: shown, more: [], run: asOther };
  ctx.note('the throw-away server runs as root: this machine allows no namespaces');
  await chown(data, 0, 0);
  return { data, more: ['--user=root'], run };
}

async function unprivileged(ctx: Context): Promise<{ uid: number; gid: number }> {
  const ids = async (user: string) => {
    const { exitCode, stdout } = await ctx.run('id', ['-u', user], { ok: [0, 1] });
    return exitCode === 0
      ? { uid: Number(stdout), gid: Number((await ctx.run('id', ['-g', user])).stdout) }
      : undefined;
  };
  return (await ids('mysql')) ?? (await ids('nobody')) ?? { uid: 65534, gid: 65534 };
}

async function initialise(program: string, { data, more, run }: Place): Promise<void> {
  const install = serverProgram('mariadb-install-db');
  const where = ['--no-defaults', ...placedIn(data), ...more];
  if (!install) await run(program, [...where, '--initialize-insecure']);
  else
    await run(install, [...where, '--auth-root-authentication-method=normal', '--skip-test-db', '--skip-name-resolve']);
}

async function serve<T>(
  program: string,
  data: string,
  { data: seen, more, run }: Place,
  ctx: Context,
  use: (server: MysqlServer) => Promise<T>,
): Promise<T> {
  let kill = (_: Error): void => {};
  const killed = new Promise<never>((_, reject) => {
    kill = reject;
  });
  const args = ['--no-defaults', ...placedIn(seen), `--secure-file-priv=${seen}`, ...OPTIONS, ...more];
  // It says nothing there; to give that stream up is how it is ended when it does not end by itself.
  const onStdout = (stdout: Readable) => Promise.race([killed, finished(stdout.resume())]);
  let ended = false;
  const process = run(program, args, { onStdout }).finally(() => {
    ended = true;
  });
  process.catch(() => {}); // awaited at the end
  const reach: Run = (client, rest, options) =>
    ctx.run(client, ['--no-defaults', '--socket=./s', '--user=root', ...rest], { ...options, cwd: data });
  const server = serverOf(reach, 'the throw-away server', true, ctx);
  try {
    await answers(server, () => ended, process, ctx);
    const done = await use(server);
    await server.execute('SHUTDOWN;');
    return done;
  } catch (error) {
    kill(new Error('the throw-away server is given up'));
    throw error;
  } finally {
    const timer = setTimeout(() => kill(new Error('the throw-away server did not end')), ENDS_MS);
    await process.catch(() => {});
    clearTimeout(timer);
  }
}

async function answers(
  server: MysqlServer,
  ended: () => boolean,
  process: Promise<unknown>,
  ctx: Context,
): Promise<void> {
  const until = performance.now() + STARTS_MS;
  for (;;) {
    try {
      await server.query('SELECT 1;');
      return;
    } catch (error) {
      if (!isFailure(error, 'DatabaseUnreachable')) throw error;
      if (ended()) await process;
      if (ended() || performance.now() > until) throw error;
    }
    ctx.beat();
    await sleep(POLL_MS, undefined, { signal: ctx.signal });
  }
}
