import { chown, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isFailure } from '../../src/core/failures.js';
import { withDirOutside, workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { withSignal } from '../tools/context.js';
import { connection, newestProgram, type Server, serverOf } from '../tools/postgres.js';
import { findProgram } from '../tools/programs.js';

const USER = 'postgres';
const PORT = 5432;
const UP_MS = 60_000;
const LOOK_MS = 50;

/** It holds a copy that can be made again, so nothing of it is ever synced; only a socket in a directory of its own leads to it. */
const SETTINGS = {
  listen_addresses: '',
  port: PORT,
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  wal_level: 'minimal',
  max_wal_senders: 0,
  autovacuum: 'off',
  max_locks_per_transaction: 1024,
  log_min_messages: 'fatal',
};

/**
 * $1 bind or copy, $2 the data's real place, $3 where it is mounted, $4 user id, $5 group id, then the program. An unprivileged user may not pass
 * the directories above a scratch tree, so its place is mounted where it may, for this program alone.
 */
const AS_USER = `
[ "$1" = copy ] || mount --bind "$2" "$3" || exit
uid=$4 gid=$5; shift 5
exec setpriv --reuid="$uid" --regid="$gid" --clear-groups --nnp -- "$@"`;

/** How programs of the cluster run: PostgreSQL refuses root, and what a dump makes it do is nobody's business. */
interface Cage {
  /** Where the data lies for the programs themselves. */
  data: string;
  argv: (program: string, args: string[]) => [string, string[]];
}

/**
 * A cluster of its own in `target` for the time of `body`: no network, no configuration of this machine, ended and removed whatever happens.
 * Throws ToolMissing where no server of PostgreSQL is installed.
 */
export async function scratchCluster<T>(
  target: string,
  ctx: Context,
  body: (server: Server) => Promise<T>,
): Promise<T> {
  const [initdb, postgres] = ['initdb', 'postgres'].map((name) => newestProgram(name));
  if (!initdb || !postgres)
    throw ctx.fail('ToolMissing', 'no server of PostgreSQL is installed here, and a dump is proven by loading it', {
      advice: 'install the package postgresql, of the version of the server or newer; it need not run',
    });
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true, mode: 0o700 });
  try {
    // A socket's path may have 107 bytes.
    return await withDirOutside(workOf(ctx), async (sockets) => {
      const cage = await cageFor(target, sockets, ctx);
      const at = (database: string) => connection({ dbname: database, host: sockets, port: PORT, user: USER });
      const server = serverOf(ctx.run, at, (name) => newestProgram(name) ?? name, 'the scratch database', ctx);
      const options = ['--auth=trust', `--username=${USER}`, '--encoding=UTF8', '--locale=C', '--no-sync'];
      await ctx.run(...cage.argv(initdb, [`--pgdata=${cage.data}`, '--no-instructions', ...options]));
      return running(cage, postgres, sockets, server, ctx, body);
    });
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

async function cageFor(target: string, sockets: string, ctx: Context): Promise<Cage> {
  if (process.getuid?.() !== 0) return { data: target, argv: (program, args) => [program, args] };
  const { uid, gid } = await nobody(ctx);
  await chown(sockets, uid, gid);
  const inside = join(sockets, 'data');
  await mkdir(inside, { mode: 0o700 });
  const own = ['unshare', '-m', '-n', 'sh', '-c', AS_USER, 'holdfast'];
  const probe = await ctx.run(own[0]!, [...own.slice(1), 'bind', target, inside, String(uid), String(gid), 'true'], {
    ok: Array.from({ length: 256 }, (_, code) => code),
  });
  const bind = probe.exitCode === 0;
  if (!bind) ctx.note(`PostgreSQL is rehearsed in ${tmpdir()}: this machine mounts nothing for one program alone`);
  await chown(bind ? target : inside, uid, gid);
  const [program = '', ...before] = bind ? own : own.slice(3);
  const fixed = [...before, bind ? 'bind' : 'copy', target, inside, String(uid), String(gid)];
  return { data: inside, argv: (name, args) => [program, [...fixed, name, ...args]] };
}

/** The user of the system that has the least rights, by its number. */
async function nobody(ctx: Context): Promise<{ uid: number; gid: number }> {
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const [, , uid, gid] = lines.find(([name]) => name === 'nobody') ?? [];
  if (!findProgram('setpriv')) throw ctx.fail('ToolMissing', 'the program setpriv is not installed');
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) };
}

/** The server runs as a program of this step, so that whoever ends the step ends it. */
async function running<T>(
  cage: Cage,
  postgres: string,
  sockets: string,
  server: Server,
  ctx: Context,
  body: (server: Server) => Promise<T>,
): Promise<T> {
  const done = new AbortController();
  const ended = new Error('the scratch server is not needed any more');
  const alone = withSignal(ctx, AbortSignal.any([ctx.signal, done.signal]));
  const settings = Object.entries({ ...SETTINGS, unix_socket_directories: sockets }).flatMap(([name, value]) => [
    '-c',
    `${name}=${value}`,
  ]);
  let died: unknown;
  const process = alone.run(...cage.argv(postgres, ['-D', cage.data, ...settings])).catch((error) => {
    if (error !== ended) died = error;
  });
  try {
    await untilUp(server, join(sockets, `.s.PGSQL.${PORT}`), () => died, ctx);
    return await body(server);
  } finally {
    done.abort(ended);
    await process;
  }
}

async function untilUp(server: Server, socket: string, died: () => unknown, ctx: Context): Promise<void> {
  const late = performance.now() + UP_MS;
  for (;;) {
    ctx.signal.throwIfAborted();
    if (died()) throw died();
    if (await stat(socket).catch(() => undefined)) {
      const answered = await server.psql('postgres', 'SELECT 1;').catch((error) => {
        if (!isFailure(error, 'DatabaseUnreachable') || performance.now() > late) throw error;
      });
      if (answered !== undefined) return;
    } else if (performance.now() > late) throw ctx.fail('ToolStalled', 'the scratch server does not come up');
    await sleep(LOOK_MS, undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}
