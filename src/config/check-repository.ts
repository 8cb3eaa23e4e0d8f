import { parseS3 } from '../../activities/tools/rclone.js';
import { isPublicKey } from '../../activities/tools/ubackup.js';
import type { Finding, Path } from './findings.js';
import type { Partly } from './partly.js';
import { localPath } from './resolve.js';
import type { RepositoryLines } from './schema.js';

/** What an engine needs, and what means nothing to it. */
export function checkRepository(repository: Partly<RepositoryLines>, path: Path): Finding[] {
  const findings: Finding[] = [];
  const say = (key: string, message: string) => void findings.push({ path: [...path, key], message });
  if (repository.engine === 'restic') {
    if (repository.password === undefined) say('password', 'is missing: restic encrypts with it; write { file: … }');
    for (const key of ['recipients', 'identity'] as const)
      if (repository[key] !== undefined) say(key, 'means nothing to restic; it encrypts with its password');
  }
  if (repository.engine === 'archive') {
    if (repository.password !== undefined) say('password', 'means nothing to archive; it encrypts to age `recipients`');
    if (repository.location !== undefined && localPath(repository.location) === undefined)
      say('location', 'must be a directory: archive writes to nothing else');
    if (repository.identity !== undefined && !repository.recipients?.length)
      say('identity', 'means nothing without `recipients`');
    repository.recipients?.forEach((recipient, i) => {
      if (recipient !== undefined && !AGE_RECIPIENT.test(recipient))
        findings.push({ path: [...path, 'recipients', i], message: recipientMessage(recipient) });
    });
  }
  if (repository.engine === 'ubackup') {
    if (repository.password !== undefined) say('password', 'means nothing to ubackup; it encrypts to `recipients`');
    if (
      repository.location !== undefined &&
      localPath(repository.location) === undefined &&
      !parseS3(repository.location)
    )
      say('location', 'must be a directory, or s3:https://<endpoint>/<bucket>');
    const [recipient, ...more] = repository.recipients ?? [];
    if (recipient === undefined || more.length > 0)
      say('recipients', 'must hold one RSA public key: the text of backups.pub');
    else if (!isPublicKey(recipient))
      findings.push({ path: [...path, 'recipients', 0], message: publicKeyMessage(recipient) });
  }
  if (repository.host !== undefined && repository.engine !== undefined && repository.engine !== 'rsync')
    say('host', `means nothing to ${repository.engine}: only rsync pulls; give it a location that this host reaches`);
  if (repository.ssh !== undefined && repository.host === undefined) say('ssh', 'means nothing without `host`');
  if (repository.engine === 'rsync') {
    for (const key of ['password', 'recipients', 'identity'] as const)
      if (repository[key] !== undefined) say(key, 'means nothing to rsync; its trees are plain files');
    if (repository.location !== undefined && localPath(repository.location) === undefined)
      say('location', 'must be a directory; another machine pulls with `host` (docs/hosts.md)');
  }
  if (repository.engine === 'rclone') {
    for (const key of ['password', 'recipients', 'identity'] as const)
      if (repository[key] !== undefined) say(key, 'means nothing to rclone; a remote of its kind `crypt` encrypts');
    if (repository.location !== undefined && !isRclone(repository.location))
      say('location', 'must be a directory, s3:https://<endpoint>/<bucket>, or rclone:<remote>:<path>');
  }
  return findings;
}

const isRclone = (location: string) =>
  localPath(location) !== undefined || parseS3(location) !== undefined || /^rclone:.+:/.test(location);

const AGE_RECIPIENT = /^age1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{58}$/;

function publicKeyMessage(text: string): string {
  if (/PRIVATE KEY/.test(text))
    return 'is a private key, and secret: write the public one of it, and keep this elsewhere';
  if (/BEGIN PUBLIC KEY/.test(text))
    return 'is in a form that µbackup refuses; openssl rsa -pubin -RSAPublicKey_out converts it';
  return 'is no RSA public key; its text begins with -----BEGIN RSA PUBLIC KEY-----';
}

function recipientMessage(text: string): string {
  if (/^AGE-SECRET-KEY-/i.test(text))
    return 'is an identity, and secret: make a new key, and write its age1… line here';
  return 'is no age recipient; it begins with age1 and has 62 characters (age-keygen -y prints it)';
}
