import { PassThrough, Readable } from 'node:stream';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Run, RunOptions } from '../contracts.js';
import { projectName } from '../services/compose-project.js';
import { execInContainer, labelOf, projectContainers } from './docker.js';
import { HANDED, withNameless } from './nameless.js';

/** A service of a compose project that a server runs in. */
export interface InContainer {
  file: string;
  project?: string | undefined;
  service: string;
}

/**
 * A file that a program reads its password from: 0600, and without a name, so that nothing of it is left whatever dies. `as`: the variable
 * that says where it is (`PGPASSFILE`), or the option, which then comes first (`--defaults-extra-file`). Its text has no empty line.
 */
export interface Credential {
  text: string;
  as: string;
  /** What must not be seen anywhere: the password, and as this file writes it. */
  secrets: string[];
}

/**
 * $1 how the credential is named or empty, $2 `input` or `hold`, then the program. The credential comes on standard input, up to an
 * empty line, so that it is in no argument and no variable. `hold`: a client that dies leaves its program running in the container;
 * its end shows as the end of standard input, and then the program is ended.
 */
const SCRIPT = `
umask 077
how=$1 holds=$2; shift 2
if [ -n "$how" ]; then
  dir=/dev/shm; [ -w "$dir" ] || dir=/tmp
  file=$(mktemp "$dir/holdfast.XXXXXX") && exec 4<>"$file" && rm "$file" || exit
  while IFS= read -r line && [ -n "$line" ]; do printf '%s\\n' "$line"; done >&4
  file=/proc/self/fd/4
  case $how in
    --*) program=$1; shift; set -- "$program" "$how=$file" "$@" ;;
    *) export "$how=$file" ;;
  esac
fi
if [ "$holds" = input ]; then exec "$@"; fi
exec 3<&0
"$@" </dev/null 3<&- & child=$!
{ read -r end <&3; kill "$child"; } >/dev/null 2>&1 & watch=$!
wait "$child"; code=$?
kill "$watch" 2>/dev/null
exit "$code"`;

/**
 * Runs programs where the server is: on this host, or in its container (by docker itself, so both versions of Compose do, and no compose
 * file has to parse). Throws ToolMissing where the container has no such program, DatabaseMissing where it does not run.
 */
export async function whereServerIs<T>(
  container: InContainer | undefined,
  credential: Credential | undefined,
  ctx: Context,
  body: (run: Run) => Promise<T>,
): Promise<T> {
  if (container) return body(inContainer(container, await containerId(container, ctx), credential, ctx));
  if (!credential) return body(ctx.run);
  const { as, text, secrets } = credential;
  return withNameless(text, (handed) =>
    body((program, args, options = {}) =>
      as.startsWith('--')
        ? ctx.run(program, [`${as}=${HANDED}`, ...args], { secrets, handed, ...options })
        : ctx.run(program, args, { secrets, handed, ...options, env: { ...options.env, [as]: HANDED } }),
    ),
  );
}

async function containerId({ file, project, service }: InContainer, ctx: Context): Promise<string> {
  const name = project ?? (await projectName(file, ctx));
  const found = (await projectContainers(name, ctx)).filter((each) => labelOf(each, 'service') === service);
  const running = found.find(({ State }) => State.Running && !State.Paused);
  if (!running)
    throw ctx.fail('DatabaseMissing', `the container of ${service} (project ${name}) does not run`, {
      advice: 'start it; a server must run while it is dumped, so leave it out of what is stopped',
    });
  return running.Id;
}

function inContainer({ service }: InContainer, id: string, credential: Credential | undefined, ctx: Context): Run {
  return async (program, args, options = {}) => {
    const { env = {}, input, ...rest } = options;
    const variables = Object.entries(env).flatMap(([name, value]) => ['-e', `${name}=${value}`]);
    const script = ['sh', '-c', SCRIPT, 'holdfast', credential?.as ?? '', input === undefined ? 'hold' : 'input'];
    const stdin = new PassThrough();
    if (credential) stdin.write(`${credential.text.trimEnd()}\n\n`);
    if (input !== undefined) feed(input, stdin);
    const more: RunOptions = { ...rest, input: stdin, ...(credential ? { secrets: credential.secrets } : {}) };
    try {
      return await execInContainer(id, variables, [...script, program, ...args], ctx, more);
    } catch (error) {
      const { exitCode } = (isFailure(error, 'ToolFailed') && (error.details?.[0] as { exitCode?: number })) || {};
      if (exitCode === 127) throw ctx.fail('ToolMissing', `the container of ${service} has no program ${program}`);
      throw error;
    } finally {
      stdin.destroy();
    }
  };
}

function feed(input: string | Readable, stdin: PassThrough): void {
  const from = typeof input === 'string' ? Readable.from([input]) : input;
  // Of a source that breaks off no program may think that it has come to its end.
  from.on('error', (error) => stdin.destroy(error));
  from.pipe(stdin);
}
