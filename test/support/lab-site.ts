import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { seed } from '../../examples/videocms/seed.mjs';
import { eventually, freePort, lives } from './toy.js';

const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL('../../examples/videocms/', import.meta.url));

/** The sample site as a process of its own, with a visitor who writes rows and remembers which were acknowledged. */
export interface LabSite {
  root: string;
  database: string;
  media: string;
  pidFile: string;
  url: string;
  /** What starts it: program and environment, as a config has them. */
  command: { argv: string[]; env: Record<string, string> };
  start: () => Promise<void>;
  stop: () => Promise<void>;
  pid: () => number | undefined;
  up: () => Promise<boolean>;
  healthy: (withinMs?: number) => Promise<number>;
  /** Adds one row; its id once the site has acknowledged it. */
  write: () => Promise<number>;
  /** Ids of rows that were acknowledged, and when. */
  acknowledged: Map<number, number>;
  /** Writes a row every `everyMs` (40) until it is ended. */
  writer: (everyMs?: number) => { end: () => Promise<void> };
  /** Ids of all rows in a database file, asked read-only; by default in the live one. */
  rows: (file?: string) => Promise<number[]>;
}

/** The site as a config has it: an application that a pid file names. */
export const siteOf = ({ root, pidFile, url, command }: LabSite) => ({
  app: 'videocms',
  root,
  service: { name: 'videocms', process: { pidFile, start: { ...command, cwd: root }, signal: 'SIGINT' } },
  health: { http: url },
});

export async function createLabSite(
  dir: string,
  { startMs = 300, videos = 4, mb = 3 }: { startMs?: number; videos?: number; mb?: number } = {},
): Promise<LabSite> {
  const [root, app] = [join(dir, 'site'), join(dir, 'app')];
  // A copy that nobody else can write: Holdfast starts no program that others can change.
  await mkdir(app, { mode: 0o755 });
  for (const file of ['server.mjs', 'database.mjs']) await copyFile(join(SAMPLE, file), join(app, file));
  await run('chmod', ['-R', 'go-w', app]);
  await seed({ dir: root, videos, mb });
  const [port, pidFile] = [await freePort(), join(root, 'logs/videocms.pid')];
  const url = `http://127.0.0.1:${port}/api/config`;
  const argv = [process.execPath, join(app, 'server.mjs'), '--pid-file', pidFile, '--start-ms', String(startMs)];
  const env = { Host: `127.0.0.1:${port}` };
  const acknowledged = new Map<number, number>();
  const pid = () => {
    const found = existsSync(pidFile) ? Number(readFileSync(pidFile, 'utf8')) : 0;
    return found && lives(found) && isServer(found, app) ? found : undefined;
  };
  const up = () =>
    fetch(url, { signal: AbortSignal.timeout(10_000) })
      .then(async (answer) => (await answer.arrayBuffer()) && answer.status === 200)
      .catch(() => false);
  const write = async () => {
    const options = { method: 'POST', signal: AbortSignal.timeout(10_000) };
    const answer = await fetch(url.replace('/api/config', '/api/rows'), options);
    const { id } = (await answer.json()) as { id?: number };
    if (answer.status !== 201 || id === undefined) throw new Error(`not written: ${answer.status}`);
    acknowledged.set(id, Date.now());
    return id;
  };
  const database = join(root, 'database/database.sqlite');
  return {
    root,
    database,
    media: join(root, 'videos/qualitys'),
    pidFile,
    url,
    command: { argv, env },
    acknowledged,
    start: async () => {
      const options = { cwd: root, env: { ...process.env, ...env } };
      await run('setsid', ['--fork', 'sh', '-c', 'exec "$@" </dev/null >/dev/null 2>&1', 'sh', ...argv], options);
    },
    stop: async () => {
      const running = pid();
      if (!running) return;
      process.kill(running, 'SIGINT');
      await eventually('the site has ended', 60_000, () => !lives(running));
    },
    pid,
    up,
    healthy: (withinMs = 60_000) => eventually('the site is healthy', withinMs, up),
    write,
    writer: (everyMs = 40) => {
      let running = true;
      const done = (async () => {
        while (running) {
          await write().catch(() => {}); // Not acknowledged: nobody may count on it.
          await sleep(everyMs);
        }
      })();
      return {
        end: () => {
          running = false;
          return done;
        },
      };
    },
    rows: (file = database) => rowsOf(file),
  };
}

/** Ids of the rows that visitors wrote. */
export async function rowsOf(file: string): Promise<number[]> {
  const query = 'SELECT id FROM web_pages ORDER BY id';
  const options = ['-batch', '-readonly', '-init', '/dev/null', '-cmd', '.timeout 30000'];
  const { stdout } = await run('sqlite3', [...options, file, query]);
  return stdout.split('\n').filter(Boolean).map(Number);
}

/** SHA-256, mode, owner and path of every file below a directory. */
export async function fingerprints(dir: string): Promise<string[]> {
  const script = `find . -type f -printf '%m %U %G ' -exec sha256sum {} \\; | sort -k 5`;
  const { stdout } = await run('sh', ['-euc', script], { cwd: dir, maxBuffer: 64e6 });
  return stdout.split('\n').filter(Boolean);
}

/** The number may be somebody else's by now. */
function isServer(pid: number, app: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(app);
  } catch {
    return false;
  }
}
