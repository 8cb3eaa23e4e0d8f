import { quote } from '../../activities/engines/shell.js';
import type { RepositorySpec, SecretRef } from '../core/plan.js';
import { CliError } from './context.js';
import { EXIT } from './exit-codes.js';

/** A reference as one argument: `file:/etc/holdfast/restic.key`, `env:NAME`. A command stands in a config only. */
export function parseReference(text: string): SecretRef {
  const match = /^(file|env):(.+)$/.exec(text);
  if (!match) throw new CliError(EXIT.usage, `"${text}" is no reference to a secret; write file:PATH or env:NAME`);
  return match[1] === 'file' ? { file: match[2]! } : { env: match[2]! };
}

/** `NAME=file:PATH` → the variable and its reference. */
export function parseCredential(text: string): [string, SecretRef] {
  const at = text.indexOf('=');
  if (at < 1) throw new CliError(EXIT.usage, `"${text}" is no credential; write NAME=file:PATH or NAME=env:NAME`);
  return [text.slice(0, at), parseReference(text.slice(at + 1))];
}

/** The command that adopts a repository, as a person types it. */
export function adoptCommand(spec: RepositorySpec): string {
  const option = (name: string, ref: SecretRef | undefined, prefix = '') =>
    ref ? [name, quote(`${prefix}${referenceText(ref)}`)] : [];
  return [
    'holdfast adopt',
    quote(spec.location),
    '--engine',
    spec.engine,
    ...option('--password', spec.password),
    ...option('--identity', spec.identity),
    ...Object.entries(spec.credentials).flatMap(([name, ref]) => option('--credential', ref, `${name}=`)),
  ].join(' ');
}

/** What a command prints has to be put into a file first. */
function referenceText(ref: SecretRef): string {
  if ('file' in ref) return `file:${ref.file}`;
  return 'env' in ref ? `env:${ref.env}` : 'file:PATH';
}
