import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { type FailureType, failure } from '../core/failures.js';
import type { SecretRef } from '../core/plan.js';

/** What resolving needs of a step: its runner for `command` references, its way of failing. */
export interface SecretContext {
  run?: (program: string, args: readonly string[]) => Promise<{ stdout: string }>;
  fail?: (type: FailureType, what: string, more?: { advice?: string; cause?: unknown }) => Error;
  env?: NodeJS.ProcessEnv;
}

/** The value behind a reference, without the one newline that editors add. Throws SecretUnavailable, which never holds the value. */
export async function resolveSecret(ref: SecretRef, context: SecretContext = {}): Promise<string> {
  const fail = context.fail ?? ((type, what, more) => failure(type, { step: 'secrets', host: 'local', what, ...more }));
  const unavailable = (what: string, advice?: string) =>
    fail('SecretUnavailable', what, advice === undefined ? {} : { advice });
  let value: string;
  if ('file' in ref) value = await fromFile(ref.file, unavailable);
  else if ('env' in ref) {
    const found = (context.env ?? process.env)[ref.env];
    if (found === undefined) throw unavailable(`the variable ${ref.env} is not set`, 'set it for the worker');
    value = found;
  } else value = await fromCommand(ref.command, context, unavailable);
  const trimmed = value.replace(/\r?\n$/, '');
  if (trimmed === '') throw unavailable(`${describeSecret(ref)} is empty`, 'write the secret into it');
  return trimmed;
}

/** How a message names a reference: never with what is behind it. */
export function describeSecret(ref: SecretRef): string {
  if ('file' in ref) return `the secret file ${ref.file}`;
  return 'env' in ref ? `the variable ${ref.env}` : `the secret of ${basename(ref.command[0] ?? '')}`;
}

type Unavailable = (what: string, advice?: string) => Error;

async function fromFile(path: string, unavailable: Unavailable): Promise<string> {
  // Opened first and looked at through the descriptor: the file that was checked is the file that is read.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw unavailable(`the secret file ${path} is not there`, 'create it, mode 0600');
    throw unavailable(`the secret file ${path} cannot be read (${error.code})`, 'give it to the user of the worker');
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw unavailable(`${path} is no file`, 'name a file');
    if (mode & 0o077) throw unavailable(`the secret file ${path} can be read by others`, `chmod 600 ${path}`);
    if (size > 1024 * 1024) throw unavailable(`the secret file ${path} is larger than any secret`, 'name another file');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function fromCommand(argv: string[], { run }: SecretContext, unavailable: Unavailable): Promise<string> {
  const [program = '', ...args] = argv;
  const what = `the command ${basename(program)} gives no secret`;
  if (!run) throw unavailable(`${what}: no command can run here`, 'name a file or a variable');
  // The cause is left out on purpose: its output may be half of the secret.
  const { stdout } = await run(program, args).catch((error: unknown) => {
    throw unavailable(
      `${what} (${error instanceof Error && 'type' in error ? String(error.type) : 'it failed'})`,
      'run it by hand as the worker',
    );
  });
  return stdout;
}
