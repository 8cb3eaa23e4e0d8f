import type { RepositorySpec, SecretRef } from '../../src/core/plan.js';

/** Shell lines for people: what RESTORE.md says. They hold references to secrets, never secrets. */

export function quote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function resticEnvironment(repo: RepositorySpec): string[] {
  const credentials = Object.entries(repo.credentials).map(([name, ref]) => `export ${name}=${shellValue(name, ref)}`);
  return [`export RESTIC_REPOSITORY=${quote(repo.location)}`, ...credentials];
}

export function passwordLines({ password }: RepositorySpec): string[] {
  if (!password) return [];
  if ('file' in password) return [`export RESTIC_PASSWORD_FILE=${quote(password.file)}`];
  return [`export RESTIC_PASSWORD=${shellValue('RESTIC_PASSWORD', password)}`];
}

/** How a shell gets at a secret; a variable of the worker's is unset there, so the line stops and says what is asked for. */
export function shellValue(name: string, ref: SecretRef): string {
  if ('file' in ref) return `"$(cat ${quote(ref.file)})"`;
  if ('command' in ref) return `"$(${ref.command.map(quote).join(' ')})"`;
  return `"\${${ref.env}:?set it to ${name} of this repository}"`;
}
