import { z } from 'zod';
import { EVENTS } from '../core/events.js';
import { flag, keep, key, name, path, rate, secret, sshKeys, text } from './fields.js';
import { Site } from './schema-site.js';

/**
 * holdfast.yaml, as a person writes it: the one source of the JSON Schema, the docs and the messages. Nothing is
 * transformed here, so that a parsed config can be printed again; `derivePlan` turns it into numbers and defaults.
 */

const on = key(z.array(z.enum(EVENTS)).min(1), 'What it is told of.', ['failed', 'partial', 'down', 'recovered']);

const notify = z.union(
  [
    z.strictObject({
      webhook: key(secret, 'An address that gets signed JSON; kept as a secret.', { file: '/etc/holdfast/hook' }),
      key: key(secret, 'Signs the JSON (HMAC-SHA-256).', { file: '/etc/holdfast/hook.key' }).optional(),
      on,
    }),
    z.strictObject({
      ping: key(secret, 'An address that is pinged at start, success and failure, as Healthchecks does.', {
        file: '/etc/holdfast/ping',
      }),
      on: on.optional(),
    }),
  ],
  { error: 'must be { webhook: { file: … }, on: […] } or { ping: { file: … } }' },
);

const repository = z.strictObject({
  engine: key(z.enum(['restic', 'archive', 'rsync', 'ubackup', 'rclone']), 'The tool behind it.', 'restic'),
  location: key(
    text,
    'A directory; for restic whatever restic takes, for ubackup and rclone also s3:https://<endpoint>/<bucket>, for rclone also rclone:<remote>:<path>; never with a secret in it.',
    '/mnt/nas/restic',
  ),
  password: key(secret, "The repository's password (restic).", { file: '/etc/holdfast/restic.key' }).optional(),
  credentials: key(z.record(text, secret), "Variables of the engine's environment, as references.", {
    AWS_ACCESS_KEY_ID: { env: 'S3_ID' },
  }).optional(),
  recipients: key(
    z.array(text),
    'Whom to encrypt to: age recipients (archive), or one RSA public key, the text of backups.pub (ubackup); this host then cannot read its backups.',
    ['age1…'],
  ).optional(),
  identity: key(
    secret,
    'The private key that reads them, where this host may have it: an age identity, or the RSA key of ubackup.',
    {
      file: '/etc/holdfast/age.key',
    },
  ).optional(),
  host: key(
    name,
    'The machine that it is on, as its worker is called, where that is another one (rsync): it pulls.',
    'backupbox',
  ).optional(),
  ssh: key(z.strictObject(sshKeys), 'How this host reads what that machine has, for a restore.', {
    address: '192.0.2.20',
    key: '/etc/holdfast/fetch.key',
    knownHosts: '/etc/holdfast/known_hosts',
  }).optional(),
  proveOn: key(name, 'The host that has the key and so verifies and rehearses restores.', 'safe').optional(),
  requireMount: key(flag, 'Refuse to write when its disk is not mounted; default false.', true).optional(),
  offsite: key(flag, 'It is in another building: `status` counts it as such; default false.', true).optional(),
  appendOnly: key(flag, 'It lets nobody delete, so nothing is pruned here; default false.', true).optional(),
  limits: key(
    z.strictObject({
      upload: key(rate, 'At most so much is sent.', '20MiB/s').optional(),
      download: key(rate, 'At most so much is fetched.', '50MiB/s').optional(),
    }),
    'How fast it may be.',
    { upload: '20MiB/s' },
  ).optional(),
  keep: key(keep, 'Overrides single counts of `defaults` for all sites here.', { monthly: 24 }).optional(),
});
export type RepositoryLines = z.infer<typeof repository>;

export const ConfigFile = z.strictObject({
  version: key(z.literal(1, { error: 'must be 1' }), 'The form of this file.', 1),
  defaults: key(
    z.strictObject({
      timezone: key(
        text,
        'An IANA time zone for schedules and for times shown; default UTC.',
        'Europe/Zurich',
      ).optional(),
      keep: key(keep, 'What every site keeps; without any, everything is kept.', {
        daily: 7,
        weekly: 4,
        monthly: 12,
      }).optional(),
      notify: key(z.array(text), 'Names of `notify` that every site tells.', ['ops']).optional(),
    }),
    'What holds for every site that says nothing else.',
    { timezone: 'Europe/Zurich', keep: { daily: 7, weekly: 4, monthly: 12 } },
  ).optional(),
  notify: key(z.record(name, notify), 'Who is told, by name.', {
    ops: { webhook: { file: '/etc/holdfast/hook' }, on: ['failed', 'partial', 'down', 'recovered'] },
  }).optional(),
  restore: key(
    z.strictObject({
      root: key(path, 'Restores into a new directory go below it.', '/srv/restored').optional(),
      approval: key(
        z.enum(['required', 'input']),
        'Who approves a restore in place: a person while it waits, or also the input that started it; default required.',
        'required',
      ).optional(),
    }),
    'How restores go.',
    { root: '/srv/restored', approval: 'required' },
  ).optional(),
  repositories: key(z.record(name, repository), 'Where backups go, by name.', {
    nas: { engine: 'restic', location: '/mnt/nas/restic', password: { file: '/etc/holdfast/restic.key' } },
  }),
  sites: key(z.record(name, Site), 'What is backed up, by name.', {
    cms: { app: 'videocms', root: '/srv/videocms', repositories: ['nas'] },
  }),
});
export type ConfigFile = z.infer<typeof ConfigFile>;

/** A config that was read and found right: its paths are absolute. */
export interface Config extends ConfigFile {
  /** Where it was read. */
  path: string;
}
export type NotifyLines = z.infer<typeof notify>;
