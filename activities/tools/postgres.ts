import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context, Fence, Run } from '../contracts.js';
import { type Credential, whereServerIs } from './container-exec.js';
import { findProgram } from './programs.js';

export type PostgresSpec = Extract<DatabaseSpec, { kind: 'postgres' }>;

/** A server with the programs that reach it, on this host or in its container. */
export interface Server {
  /** Runs a program of PostgreSQL; its failures are named. */
  run: Run;
  program: (name: string) => string;
  /** How `-d` takes a database of this server: never a plain name, which could be taken for a connection string. */
  at: (database: string) => string;
  /** Runs a script and returns what it prints, one row per line. Any error ends it. */
  psql: (database: string, script: string, fence?: Fence) => Promise<string>;
}

/** Parents of directories that are called after a version: the system's own wrappers choose by cluster, not by what is newest. */
const HOMES: [string, RegExp][] = [
  ['/usr/lib/postgresql', /^(\d+)$/],
  ['/usr', /^pgsql-(\d+)$/],
];

/** The newest program of PostgreSQL on this host: a client must not be older than its server. */
export function newestProgram(name: string): string | undefined {
  const found = HOMES.flatMap(([home, pattern]) =>
    entriesOf(home).flatMap((entry) => {
      const major = Number(pattern.exec(entry)?.[1] ?? 0);
      const program = findProgram(join(home, entry, 'bin', name));
      return major > 0 && program ? [{ major, program }] : [];
    }),
  );
  return found.sort((a, b) => b.major - a.major)[0]?.program ?? findProgram(name);
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

/** Connects programs to the server of a spec. Throws DatabaseDenied, DatabaseMissing, DatabaseUnreachable, DatabaseLocked, DiskFull. */
export async function withServer<T>(
  spec: PostgresSpec,
  ctx: Context,
  body: (server: Server) => Promise<T>,
): Promise<T> {
  const password = spec.password ? await ctx.secret(spec.password) : undefined;
  const escaped = password?.replace(/[\\:]/g, '\\$&');
  const credential: Credential | undefined =
    password === undefined || escaped === undefined
      ? undefined
      : { text: `*:*:*:*:${escaped}\n`, as: 'PGPASSFILE', secrets: [password, escaped] };
  const user = spec.user ?? (spec.container ? 'postgres' : undefined);
  const at = (database: string) =>
    connection({ dbname: database, host: spec.socket ?? spec.host, port: spec.port, user });
  return whereServerIs(spec.container, credential, ctx, (bare) =>
    body(serverOf(bare, at, (name) => (spec.container ? name : (newestProgram(name) ?? name)), spec.name, ctx)),
  );
}

/** A server whose programs run as they are given. */
export function serverOf(bare: Run, at: Server['at'], program: Server['program'], name: string, ctx: Context): Server {
  const run: Run = (...call) =>
    bare(...call).catch((error) => {
      throw named(error, name, ctx);
    });
  return {
    run,
    program,
    at,
    psql: async (database, script, fence) => {
      const options = ['-X', '-q', '-A', '-t', '-w', '-v', 'ON_ERROR_STOP=1', '-f', '-', '-d', at(database)];
      // What a role was given as its default must not shorten what is counted.
      const input = `SET client_encoding = 'UTF8'; SET row_security = off; SET statement_timeout = 0;\n${script}\n`;
      return (await run(program('psql'), options, { input, ...(fence ? { fence } : {}) })).stdout;
    },
  };
}

/** A connection string; values may hold anything. */
export function connection(parts: Record<string, string | number | undefined>): string {
  return Object.entries({ ...parts, connect_timeout: 10, application_name: 'holdfast' })
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}='${String(value).replace(/[\\']/g, '\\$&')}'`]))
    .join(' ');
}

/** A name as SQL takes it. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A text as SQL takes it, whatever `standard_conforming_strings` says. */
export const literal = (text: string): string =>
  text.includes('\\') ? ` E'${text.replace(/[\\']/g, '$&$&')}'` : `'${text.replaceAll("'", "''")}'`;

/** `pg_dump (PostgreSQL) 15.18 (Debian …)` → 15.18. */
export async function versionOf({ run, program }: Pick<Server, 'run' | 'program'>, name: string): Promise<string> {
  const { stdout } = await run(program(name), ['--version']);
  return /\) (\d+(?:\.\d+)?)/.exec(stdout)?.[1] ?? stdout.trim().slice(0, 40);
}

/** Says which way of failing this is; servers that speak another language than English stay a failed tool. */
function named(error: unknown, name: string, ctx: Context): unknown {
  if (!isFailure(error, 'ToolFailed')) return error;
  const { stderrTail: said = '', tool = 'psql' } = (error.details?.[0] ?? {}) as { stderrTail?: string; tool?: string };
  const more = { details: { tool }, cause: error };
  if (/password authentication failed|no password supplied|pg_hba\.conf|Peer authentication failed/.test(said))
    return ctx.fail('DatabaseDenied', `the server of ${name} refuses this user or its password`, more);
  if (/role ".*" does not exist/.test(said) && /FATAL/.test(said))
    return ctx.fail('DatabaseDenied', `the server of ${name} has no such user`, more);
  if (/database ".*" does not exist/s.test(said))
    return ctx.fail('DatabaseMissing', `the server has no database that is ${name}`, more);
  if (/permission denied|must be (?:owner|superuser|member)|affected by row-level security/.test(said))
    return ctx.fail('DatabaseDenied', `the user of ${name} has not the rights for this`, {
      ...more,
      advice: 'name the owner of the database or a superuser',
    });
  if (/could not connect|connection to server .* failed|is starting up|is shutting down|in recovery mode/s.test(said))
    return ctx.fail('DatabaseUnreachable', `the server of ${name} does not answer`, more);
  if (/lock timeout|being accessed by other users/.test(said))
    return ctx.fail('DatabaseLocked', `${name} is in use by somebody else`, {
      ...more,
      advice: 'look at pg_stat_activity for who it is',
    });
  if (/No space left on device/.test(said)) return ctx.fail('DiskFull', 'the disk is full', more);
  return error;
}
