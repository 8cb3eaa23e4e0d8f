import { z } from 'zod';
import { NAME } from '../core/names.js';
import { SecretRef } from '../core/plan.js';

/** The small values that keys of holdfast.yaml share. Texts stay as written; `derivePlan` turns them into numbers. */

/** A key with its description and examples: they feed the JSON Schema, the docs and the messages. */
export function key<S extends z.ZodType>(schema: S, description: string, ...examples: unknown[]): S {
  return schema.meta({ description, ...(examples.length > 0 ? { examples } : {}) });
}

/** A text of one form; `must` is the whole message, whatever is wrong with the value. */
export const form = (pattern: RegExp, must: string) => z.string({ error: must }).regex(pattern, must);

export const text = z.string().min(1, 'must not be empty');
export const name = form(NAME, 'must be a name of lower-case letters, digits and dashes, at most 40 characters');
export const duration = form(
  /^(\d+(\.\d+)?(ms|s|m|h|d|w))+$/,
  'must be a duration such as 30s, 26h or 1h30m (units: ms, s, m, h, d, w)',
);
export const size = form(/^\d+(\.\d+)?\s*([KMGT]i?B|B)$/, 'must be a size such as 500MB or 5GiB');
export const rate = form(/^\d+(\.\d+)?\s*([KMGT]i?B|B)\/s$/, 'must be a rate such as 20MiB/s');
export const path = form(/^[^~]/, 'must be a path; write it in full, "~" is not expanded');
export const flag = z.boolean();

/** How another machine is reached. Nothing of anybody's own SSH configuration counts. */
export const sshKeys = {
  address: key(
    form(/^[A-Za-z0-9:][\w.:-]*$/, 'must be the name or IP address of a machine'),
    'Its name or IP address.',
    '192.0.2.10',
  ),
  user: key(
    form(/^[A-Za-z_][\w.-]*$/, 'must be the name of a user'),
    'The user there; default root.',
    'backup',
  ).optional(),
  port: key(z.int().min(1).max(65_535), 'The port of its SSH server; default 22.', 2222).optional(),
  key: key(path, 'The private key, for the worker alone.', '/etc/holdfast/pull.key'),
  knownHosts: key(path, 'Its host key, as `ssh-keyscan` prints it; no other is trusted.', '/etc/holdfast/known_hosts'),
};

export const secret = SecretRef;

const argv = z.array(text).min(1, 'must name a program');
const COMMAND_FORMS =
  'must be a program with its arguments, as ["/usr/bin/true", "-x"], or { argv, cwd, env, timeout }';
export const command = z.union(
  [
    argv,
    z.strictObject({
      argv: key(argv, 'The program and its arguments; no shell reads them.', ['/usr/local/bin/freeze', '--all']),
      cwd: key(path, "Where it runs, relative to the site's root, which is the default.", 'bin').optional(),
      env: key(
        z.record(z.string(), z.union([z.string(), secret], { error: 'must be a text or a reference to a secret' })),
        'Variables that it gets besides PATH, HOME, LANG and TZ.',
        { MODE: 'nightly' },
      ).optional(),
      timeout: key(duration, 'After this it is ended; default 1m.', '10m').optional(),
    }),
  ],
  { error: COMMAND_FORMS },
);
export type CommandLine = z.infer<typeof command>;

const HEALTH_FORMS = 'must be { http: URL } or { command: […] }';
export const health = z.union(
  [
    z.strictObject({
      http: key(
        form(/^https?:\/\//, 'must be an http:// or https:// address'),
        'An address that answers when the application is up.',
        'http://127.0.0.1:3000/api/config',
      ),
      status: key(z.int().min(100).max(599), 'The status of its answer; default 200.', 204).optional(),
    }),
    z.strictObject({ command: key(command, 'Ends with 0 when the application is up.', ['/usr/bin/pg_isready']) }),
  ],
  { error: HEALTH_FORMS },
);
export type HealthLine = z.infer<typeof health>;

const count = z.int().positive('must be a whole number above 0; leave the key out to keep none of this kind');
export const keep = z.strictObject({
  last: key(count, 'The newest ones, whatever their age.', 3).optional(),
  hourly: key(count, 'One of each hour, for so many hours.', 24).optional(),
  daily: key(count, 'One of each day, for so many days.', 7).optional(),
  weekly: key(count, 'One of each week, for so many weeks.', 4).optional(),
  monthly: key(count, 'One of each month, for so many months.', 12).optional(),
  yearly: key(count, 'One of each year, for so many years.', 3).optional(),
});
