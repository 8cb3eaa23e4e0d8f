import { join } from 'node:path';
import type { RepositorySpec } from '../../src/core/plan.js';
import { parseS3, REMOTE, remoteEnv } from '../tools/rclone.js';
import { quote, shellValue } from './shell.js';

/**
 * Shell lines that restore one capture with openssl, gzip and tar; `ubackup decrypt-and-decompress` reads the first object as
 * well. They stop where an object is not the one that was written.
 */
export function handLines(repo: RepositorySpec, siteId: string, captureId: string): string[] {
  const key =
    repo.identity && 'file' in repo.identity
      ? quote(repo.identity.file)
      : `"\${IDENTITY:?path of the private key, backups.key}"`;
  return [
    ...fetchLines(repo, captureId),
    `set -- "$stored"/*/*-${captureId}.gz.aes "$stored"/holdfast/${quote(siteId)}/*-${captureId}.tar.gz.aes "$stored"/holdfast/${quote(siteId)}/*-${captureId}.json`,
    `grep -o '"sha256":"[0-9a-f]*"' "$3" | cut -d'"' -f4 | { read -r a; read -r b; printf '%s  %s\\n' "$a" "$1" "$b" "$2"; } | sha256sum --check`,
    'hex() { od -An -v -tx1 | tr -d " \\n"; }',
    'unseal() {',
    '  n=$(head -c 2 "$1" | od -An -tu2 --endian=little | tr -d " ")',
    `  key=$(tail -c +3 "$1" | head -c "$n" | openssl pkeyutl -decrypt -inkey ${key} -pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 | hex)`,
    '  iv=$(tail -c +$((n + 3)) "$1" | head -c 16 | hex)',
    '  tail -c +$((n + 19)) "$1" | openssl enc -d -aes-256-ctr -K "$key" -iv "$iv" | gzip -dc',
    '}',
    'mkdir -p ./restored',
    'unseal "$2" | tar --extract --directory=./restored --preserve-permissions --numeric-owner --xattrs --xattrs-include=\'*\' --acls',
    `path=$(sed -n 's/.*"file":{"path":"\\([^"]*\\)".*/\\1/p' "$3")`,
    'unseal "$1" > "./restored$path"',
  ];
}

function fetchLines(repo: RepositorySpec, captureId: string): string[] {
  const place = parseS3(repo.location);
  if (!place) return [`stored=${quote(repo.location)}`];
  return [
    ...Object.entries(remoteEnv(place)).map(([name, value]) => `export ${name}=${quote(value)}`),
    ...Object.entries(repo.credentials).map(([name, ref]) => `export ${name}=${shellValue(name, ref)}`),
    'stored=./stored',
    `rclone copy ${quote(join(`${REMOTE}:${place.path}`))} ./stored --include '*${captureId}*'`,
  ];
}
