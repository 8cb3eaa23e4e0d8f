import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newestProgram } from '../../activities/tools/postgres.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import { eventually } from './toy.js';

type Spec = Extract<DatabaseSpec, { kind: 'postgres' }>;

/** A server of PostgreSQL of its own: reached by a socket alone, with a password. */
export interface Postgres {
  dir: string;
  passwordFile: string;
  /** Runs SQL as the superuser; what it prints. */
  sql: (database: string, script: string) => string;
  /** The database of this name, as a plan has it. */
  spec: (database: string, more?: Partial<Spec>) => Spec;
  end: () => Promise<void>;
}

const PASSWORD = 'se:cr\\et "quoted"';
const PORT = 5432;

/** Starts it, or says why it cannot run here. */
export async function openPostgres(): Promise<Postgres | string> {
  const [initdb, postgres, psql] = ['initdb', 'postgres', 'psql'].map(newestProgram);
  if (!initdb || !postgres || !psql) return 'PostgreSQL is not installed';
  const dir = await mkdtemp(join(tmpdir(), 'hf-test-pg-'));
  const isRoot = process.getuid?.() === 0;
  // PostgreSQL refuses root.
  const user = isRoot ? { uid: 65534, gid: 65534 } : {};
  if (isRoot) await chown(dir, 65534, 65534);
  const [data, passwordFile] = [join(dir, 'data'), join(dir, 'password')];
  await writeFile(passwordFile, `${PASSWORD}\n`, { mode: 0o600 });
  const forServer = join(dir, 'password.server');
  await writeFile(forServer, `${PASSWORD}\n`, { mode: 0o600 });
  if (isRoot) await chown(forServer, 65534, 65534);
  const options = ['-A', 'scram-sha-256', '--pwfile', forServer, '-U', 'postgres', '-E', 'UTF8', '--locale=C', '-N'];
  execFileSync(initdb, ['-D', data, ...options], { ...user, cwd: dir, stdio: 'ignore' });
  const settings = ['listen_addresses=', `unix_socket_directories=${dir}`, 'fsync=off', 'max_connections=50'];
  const server: ChildProcess = spawn(postgres, ['-D', data, ...settings.flatMap((one) => ['-c', one])], {
    ...user,
    cwd: dir,
    stdio: 'ignore',
  });
  const env = { ...process.env, PGPASSWORD: PASSWORD };
  const sql = (database: string, script: string) => {
    const at = `dbname='${database.replace(/[\\']/g, '\\$&')}' host=${dir} port=${PORT} user=postgres`;
    return execFileSync(psql, ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', at, '-f', '-'], {
      env,
      input: script,
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'pipe'],
    }).trim();
  };
  await eventually('PostgreSQL answers', 60_000, () => {
    try {
      return sql('postgres', 'SELECT 1') === '1';
    } catch {
      return false;
    }
  });
  return {
    dir,
    passwordFile,
    sql,
    spec: (database, more = {}) => ({
      kind: 'postgres',
      name: 'wiki',
      mode: 'stopped',
      socket: dir,
      port: PORT,
      user: 'postgres',
      password: { file: passwordFile },
      database,
      globals: false,
      format: 'custom',
      ...more,
    }),
    end: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      await rm(dir, { recursive: true, force: true });
    },
  };
}
