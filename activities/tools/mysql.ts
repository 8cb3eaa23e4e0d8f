import { statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { isFailure } from '../../src/core/failures.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context, Run, RunOptions } from '../contracts.js';
import { type Credential, whereServerIs } from './container-exec.js';
import { namedMysqlError } from './mysql-errors.js';
import { findProgram } from './programs.js';
import { streamed } from './streamed.js';

export type MysqlSpec = Extract<DatabaseSpec, { kind: 'mysql' }>;

/** The programs of MariaDB first: where both exist, the other name is a link to it. */
const CLIENTS = ['mariadb', 'mysql'];
const DUMPERS = ['mariadb-dump', 'mysqldump'];
/** A row or a statement may be as large as the server lets it be. */
const PACKET = '--max-allowed-packet=1G';
const BATCH = ['--batch', '--skip-column-names', '--quick', '--local-infile=0'];

type Options = Pick<RunOptions, 'fence' | 'onStdout'> & {
  /** What fails is left out, and the rest goes on. */
  force?: boolean;
};

/** A server, as its own programs reach it: a configured one, or a throw-away. Errors are failures of the catalogue. */
export interface MysqlServer {
  /** Small results: a row per line, its columns as text (`NULL` is the text NULL). */
  query(sql: string, options?: Options): Promise<string[][]>;
  /** A script with statements as a dump has them (`DELIMITER` too); the first error ends it. Resolves with the numbers of errors that `force` passed over. */
  execute(script: string | Readable, options?: Options): Promise<number[]>;
  /** Rows of a query, streamed: it selects one JSON text per row (`JSON_OBJECT`). */
  rows<T>(sql: string): AsyncGenerator<T>;
  /** Runs the dump program; `said` is what it printed about itself. */
  dump(args: readonly string[], options: Options): Promise<void>;
  versions(): Promise<Record<string, string>>;
}

/** Reaches the server that a spec names. The password travels in a file of its own, never as an argument or a variable. */
export async function withMysql<T>(
  spec: MysqlSpec,
  ctx: Context,
  body: (server: MysqlServer) => Promise<T>,
): Promise<T> {
  const { container, user, password, host, port, socket } = spec;
  const credential = password && credentialOf(await ctx.secret(password));
  const args = [
    ...(user === undefined ? [] : [`--user=${user}`]),
    ...(host === undefined ? [] : [`--host=${host}`]),
    ...(port === undefined ? [] : [`--port=${port}`]),
    ...(socket === undefined ? [] : [`--socket=${socket}`]),
    // `localhost` means the socket to these programs, whatever the port.
    ...(port !== undefined && socket === undefined ? ['--protocol=tcp'] : []),
  ];
  // A ~/.my.cnf would override the password of the config; without one, it is how the account is known.
  const env: Record<string, string> = credential ? { HOME: '/nonexistent' } : {};
  return whereServerIs(container, credential, ctx, (run) =>
    body(
      serverOf(
        (program, more, options = {}) => run(program, [...args, ...more], { ...options, env }),
        spec.name,
        container === undefined,
        ctx,
      ),
    ),
  );
}

function credentialOf(password: string): Credential {
  const quoted = password.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return { text: `[client]\npassword="${quoted}"\n`, as: '--defaults-extra-file', secrets: [password, quoted] };
}

interface Program {
  program: string;
  version: string;
}

/** `run` reaches the server with each of its programs, which are this host's own where `local`; `name` is what errors call it. */
export function serverOf(run: Run, name: string, local: boolean, ctx: Context): MysqlServer {
  const found = new Map<string[], Promise<Program>>();
  const find = (programs: string[]) => {
    const known = found.get(programs) ?? firstOf(programs, run, local, ctx);
    found.set(programs, known);
    return known;
  };
  const call = async (programs: string[], args: readonly string[], options: RunOptions) => {
    const { program } = await find(programs);
    try {
      return await run(program, ['--default-character-set=utf8mb4', PACKET, ...args], options);
    } catch (error) {
      throw namedMysqlError(error, name, program, ctx);
    }
  };
  return {
    async query(sql, options = {}) {
      const { stdout } = await call(CLIENTS, BATCH, { ...options, input: `${sql}\n` });
      return stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split('\t').map(plain));
    },
    async execute(script, options = {}) {
      // Else the client would act on `\!` and the like in what is data.
      const { force, ...rest } = options;
      const how = force ? { args: ['--force'], ok: [0, 1] } : { args: [], ok: [0] };
      const passed: number[] = [];
      const onErrorLine = (line: string) => {
        const code = /^ERROR (\d+) /.exec(line)?.[1];
        if (code) passed.push(Number(code));
      };
      const more = { ...rest, ok: how.ok, input: script, ...(force ? { onErrorLine } : {}) };
      await call(CLIENTS, [...BATCH, '--binary-mode', ...how.args], more);
      return passed;
    },
    rows: <T>(sql: string) =>
      streamed((onStdout) => call(CLIENTS, [...BATCH, '--raw'], { onStdout, input: `${sql};\n` }), jsonLines<T>),
    async dump(args, options) {
      const { version } = await find(DUMPERS);
      // Oracle's own: its defaults ask for more rights, and write statements that no other server takes.
      const oracle = /MariaDB/i.test(version) ? [] : ['--set-gtid-purged=OFF'];
      const major = Number(/Ver (\d+)/.exec(version)?.[1] ?? 0);
      const statistics = oracle.length > 0 && major >= 8 ? ['--column-statistics=0'] : [];
      const { force, ...rest } = options;
      const how = force ? { args: ['--force'], ok: [0, 2] } : { args: [], ok: [0] };
      await call(DUMPERS, [...oracle, ...statistics, ...how.args, ...args], { ...rest, ok: how.ok });
    },
    async versions() {
      const [client, dumper] = [await find(CLIENTS), await find(DUMPERS)];
      const short = (text: string) => /\d+\.\d+\.\d+/.exec(text.replace(/Ver \d+\.\d+ Distrib/, ''))?.[0] ?? text;
      return { [client.program]: short(client.version), [dumper.program]: short(dumper.version) };
    },
  };
}

/** What programs of this host say of themselves: asked once for each file that they are. */
const versionsHere = new Map<string, string>();

async function firstOf(programs: string[], run: Run, local: boolean, ctx: Context): Promise<Program> {
  for (const program of programs) {
    const path = local ? findProgram(program) : program;
    if (!path) continue;
    const file = local ? `${path} ${statSync(path).mtimeMs}` : undefined;
    try {
      const version = versionsHere.get(file ?? '') ?? (await run(program, ['--version'])).stdout.trim();
      if (file) versionsHere.set(file, version);
      return { program, version };
    } catch (error) {
      if (!isFailure(error, 'ToolMissing')) throw error;
    }
  }
  throw ctx.fail('ToolMissing', `neither ${programs.join(' nor ')} is installed where the server is reached`, {
    advice: 'install the client programs of MariaDB or MySQL',
  });
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', '0': '\0', '\\': '\\' };

function plain(text: string): string {
  return text.replace(/\\([nt0\\])/g, (_, c: string) => ESCAPES[c] ?? c);
}

/** SQL text of a string, whatever `NO_BACKSLASH_ESCAPES` says: as hexadecimal digits. */
export function sqlString(text: string): string {
  return text === '' ? "''" : `CONVERT(0x${Buffer.from(text).toString('hex')} USING utf8mb4)`;
}

/** A name as SQL has it. */
export function sqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

async function* jsonLines<T>(stdout: Readable): AsyncGenerator<T> {
  let rest = '';
  for await (const chunk of stdout.setEncoding('utf8')) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) yield JSON.parse(line) as T;
  }
}
