import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePorts } from '../../worker/free-ports.js';
import { PATIENCE_MS, until } from './clock.js';

const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL('../../examples/videocms/', import.meta.url));
const VIDEOS = 25;
const MEGABYTES = 210;

/** The sample site: a server of ours that behaves as VideoCMS does, with its media and its database. */
export interface Site {
  root: string;
  database: string;
  media: string;
  /** `service` of holdfast.yaml, indented for a site. */
  serviceYaml: string;
  startCommand: string[];
  /** The same stop and start as shell text, for what is done by hand. */
  stopScript: string;
  startScript: string;
  start: () => Promise<void>;
  stop: () => Promise<void>;
  healthy: () => Promise<void>;
  write: (signal: AbortSignal) => Promise<number>;
  read: (signal: AbortSignal) => Promise<number>;
  size: () => Promise<{ rows: number; files: number; bytes: number }>;
  /** Copies database.sqlite alone and asks SQLite about the copy. */
  copyMainFile: (target: string) => Promise<{ integrity: string; rows: number }>;
}

export async function createSite(root: string): Promise<Site> {
  const dir = dirname(root);
  const app = join(dir, 'app');
  // A copy that nobody else can write, whatever the umask of the checkout: Holdfast starts no program that others can change.
  await mkdir(app, { mode: 0o755 });
  await Promise.all(['server.mjs', 'database.mjs'].map((file) => copyFile(join(SAMPLE, file), join(app, file))));
  await run('chmod', ['-R', 'go-w', app]);
  await run(process.execPath, [
    join(SAMPLE, 'seed.mjs'),
    '--dir',
    root,
    '--videos',
    `${VIDEOS}`,
    '--mb',
    `${MEGABYTES}`,
  ]);
  const { grpc: port } = await freePorts();
  const origin = `http://127.0.0.1:${port}`;
  const pidFile = join(dir, 'videocms.pid');
  const database = join(root, 'database/database.sqlite');
  const media = join(root, 'videos/qualitys');
  const startCommand = [process.execPath, join(app, 'server.mjs')];
  const launch = `echo $$ >'${pidFile}'; exec ${startCommand.map((word) => `'${word}'`).join(' ')} </dev/null >/dev/null 2>&1`;
  const startScript = `cd '${root}'; Host=127.0.0.1:${port} setsid --fork sh -c "${launch.replace('$$', '\\$\\$')}"`;
  // A zombie has no exe any more: waiting for its parent to notice would be waiting for nothing.
  const stopScript = `pid=$(cat '${pidFile}'); kill -INT $pid; while [ -e /proc/$pid/exe ]; do sleep 0.005; done`;
  const read = async (signal: AbortSignal) => {
    const answer = await fetch(`${origin}/api/config`, { signal });
    await answer.arrayBuffer();
    return answer.status;
  };
  return {
    root,
    database,
    media,
    serviceYaml: `    service:
      name: videocms
      process:
        pidFile: ${pidFile}
        start: { argv: ${JSON.stringify(startCommand)}, cwd: ${root}, env: { Host: "127.0.0.1:${port}" } }
        signal: SIGINT
      health: { http: "${origin}/api/config" }`,
    startCommand,
    stopScript,
    startScript,
    start: async () => void (await run('sh', ['-euc', startScript])),
    stop: async () => {
      const pid = Number(await readFile(pidFile, 'utf8'));
      if (await isServer(pid, app)) process.kill(pid, 'SIGINT');
    },
    healthy: () =>
      until('the sample site', PATIENCE_MS, async () => {
        const status = await read(AbortSignal.timeout(1000)).catch(() => 0);
        return status === 200 ? status : undefined;
      }).then(() => {}),
    write: async (signal) => {
      const answer = await fetch(`${origin}/api/rows`, { method: 'POST', signal });
      const { id } = (await answer.json()) as { id?: number };
      if (answer.status !== 201 || id === undefined) throw new Error(`not written: ${answer.status}`);
      return id;
    },
    read,
    size: async () => {
      const rows = Number(await ask(database, 'SELECT count(*) FROM files'));
      const { stdout } = await run('find', [media, '-type', 'f', '-printf', '%s\\n']);
      const sizes = stdout.trim().split('\n').map(Number);
      return { rows, files: sizes.length, bytes: sizes.reduce((a, b) => a + b, 0) };
    },
    copyMainFile: async (target) => {
      await copyFile(database, target);
      const integrity = await ask(target, 'PRAGMA integrity_check');
      // A main file without its write-ahead log has not even the table.
      const rows = Number(await ask(target, 'SELECT count(*) FROM files').catch(() => '0'));
      return { integrity, rows };
    },
  };
}

/** Asks SQLite, read-only. */
export async function ask(database: string, query: string): Promise<string> {
  const { stdout } = await run('sqlite3', ['-batch', '-readonly', '-init', '/dev/null', database, query]);
  return stdout.trim();
}

/** Whether that pid still is our server: the number may be somebody else's by now. */
async function isServer(pid: number, app: string): Promise<boolean> {
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.includes(`${basename(dirname(app))}/${basename(app)}/`);
}
