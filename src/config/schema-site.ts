import { z } from 'zod';
import { command, duration, flag, form, health, keep, key, name, path, size, sshKeys, text } from './fields.js';

/** One site of holdfast.yaml: what it is, how it is stopped, where it goes, how often, and what is asked of it. */

const serviceKeys = {
  name: key(text, 'What runs and reports call it; by default the name of its unit.', 'web').optional(),
  health: key(health, 'How to see that it is up again.', { http: 'http://127.0.0.1:3000/' }).optional(),
  stopTimeout: key(duration, 'How long its stop may take; default 1m.', '2m').optional(),
};

const SERVICE_FORMS = 'must be { compose, names }, { systemd }, { process }, { command } or none';
export const service = z.union(
  [
    z.strictObject({
      compose: key(path, "The compose file, relative to the site's root.", 'docker-compose.yaml'),
      names: key(
        z.array(text).min(1, 'must name the services to stop'),
        'Services in the order in which they are stopped; started in the reverse.',
        ['web', 'worker'],
      ),
      project: key(text, "Compose's project name, where it is not that of the directory.", 'cms').optional(),
      ...serviceKeys,
    }),
    z.strictObject({
      systemd: key(text, 'A unit.', 'seafile.service'),
      user: key(flag, "The unit belongs to the worker's own user manager.", true).optional(),
      ...serviceKeys,
    }),
    z.strictObject({
      process: key(
        z.strictObject({
          pidFile: key(path, "Where the program leaves its process id, relative to the site's root.", 'run/app.pid'),
          start: key(command, 'Starts it.', ['./app', '--daemon']),
          signal: key(z.enum(['SIGINT', 'SIGTERM', 'SIGQUIT']), 'Ends it; default SIGTERM.', 'SIGINT').optional(),
        }),
        'A program without a unit: found by its pid file, ended by a signal.',
      ),
      ...serviceKeys,
    }),
    z.strictObject({
      command: key(
        z.strictObject({
          stop: key(command, 'Stops it, and ends when it is stopped.', ['./seafile.sh', 'stop']),
          start: key(command, 'Starts it.', ['./seafile.sh', 'start']),
          status: key(command, 'Ends with 0 when it runs, 3 when it is stopped.', ['./seafile.sh', 'status']),
        }),
        'Programs that stop it, start it and tell which it is.',
      ),
      ...serviceKeys,
    }),
    z.literal('none', { error: SERVICE_FORMS }),
  ],
  { error: SERVICE_FORMS },
);
export type ServiceLine = z.infer<typeof service>;

const cron = (description: string, ...examples: string[]) =>
  key(text, `${description} A cron line, or hourly, daily, weekly or monthly.`, ...examples).optional();

const schedule = z.strictObject({
  backup: cron('When to back up.', '0 3 * * *'),
  verify: cron('When to verify what is stored.', 'weekly'),
  restoreTest: cron('When to rehearse a restore.', 'monthly'),
  timezone: key(text, 'The time zone of these; default that of `defaults`, else UTC.', 'Europe/Zurich').optional(),
  jitter: key(duration, 'Spreads the starts by up to so much.', '10m').optional(),
  catchUp: key(duration, 'How late a missed backup is still made up for; default 12h.', '12h').optional(),
  pauseOnFailure: key(flag, 'One failed run stops all later ones; default false.', true).optional(),
});

const hooks = z.strictObject({
  before: key(command, 'Runs before anything is stopped; its failure ends the run.', [
    '/usr/local/bin/announce',
  ]).optional(),
  after: key(command, 'Runs when the run is over, whatever came of it.', ['/usr/local/bin/unannounce']).optional(),
  onFailure: key(command, 'Runs when the run failed.', ['/usr/local/bin/page']).optional(),
  condition: key(command, 'Asked first: exit code 75 skips the run.', [
    '/usr/bin/mountpoint',
    '-q',
    '/mnt/nas',
  ]).optional(),
});

const OPERATION_CHECKS = 'must be health, { http: URL } or { command: […] }';
const operation = z.strictObject({
  run: key(command, 'Does it; any exit code but 0 means that it failed.', ['/usr/local/bin/update-app']),
  check: key(
    z.union([z.literal('health'), ...health.options], { error: OPERATION_CHECKS }),
    "How to see that all is well, asked before and after: exit code 75 says that it could not look. Default: the application's own health.",
    { command: ['/usr/local/bin/check-app'] },
  ).optional(),
  writes: key(
    z.enum(['held', 'open'], { error: 'must be held or open' }),
    'held: the application is stopped from the capture to the check, and a failure is rolled back. open: it runs, and a person decides. Default held.',
    'open',
  ).optional(),
  timeout: key(duration, 'After this it is ended, and what it did counts as unknown; default 1h.', '2h').optional(),
  touches: key(
    z.array(text).min(1, 'must name what it changes; leave the key out for everything'),
    'The databases and file sets that it may change, as `holdfast explain` names them; nothing else is rolled back. Default all.',
    ['database'],
  ).optional(),
});
export type OperationLines = z.infer<typeof operation>;

const useRepository = z.union(
  [
    text,
    z.strictObject({
      use: key(text, 'A repository of `repositories`.', 'offsite'),
      keep: key(keep, 'Overrides single counts for this site in this repository.', { monthly: 24 }).optional(),
    }),
  ],
  { error: 'must be the name of a repository, or { use, keep }' },
);

export const Site = z.strictObject({
  id: key(name, 'Snapshots are tagged with it: set it to the old name when you rename a site.', 'cms').optional(),
  app: key(text, 'What kind of application it is.', 'videocms'),
  root: key(path, "The application's directory.", '/srv/videocms'),
  host: key(name, 'The machine it is on, as its worker is called; default this one.', 'web1').optional(),
  service: key(service, 'How it is stopped and started.', {
    compose: 'docker-compose.yaml',
    names: ['videocms'],
  }).optional(),
  services: key(
    z.array(service).min(1, 'must not be empty; write `service: none` for a site that is never stopped'),
    'Several services, in the order in which they are stopped; started in the reverse.',
    [{ systemd: 'seahub.service' }, { systemd: 'seafile.service' }],
  ).optional(),
  health: key(health, "How to see that the site is up; default the application's own.", {
    http: 'http://127.0.0.1:3000/api/config',
  }).optional(),
  options: key(z.record(z.string(), z.unknown()), "The application's own options, listed below by application.", {
    online: true,
  }).optional(),
  repositories: key(z.array(useRepository).min(1, 'must name at least one repository'), 'Where its backups go.', [
    'nas',
    { use: 'offsite', keep: { monthly: 24 } },
  ]),
  schedule: key(schedule, 'When things run by themselves; `holdfast schedule apply` makes it so.', {
    backup: 'daily',
  }).optional(),
  objectives: key(
    z.strictObject({
      maxAge: key(duration, 'Alarm when the newest backup is older.', '26h').optional(),
      maxDowntime: key(duration, 'Alarm when a backup kept the application down for longer.', '30s').optional(),
      maxProofAge: key(duration, 'Alarm when the newest proof is older.', '35d').optional(),
    }),
    'What you ask of it; breaking one raises an alarm and never stops a run.',
    { maxAge: '26h' },
  ).optional(),
  limits: key(
    z.strictObject({
      downtime: key(
        duration,
        'Hard cap of one stopped section: the application is started again then; default the longer of 5m and three times the last one.',
        '10m',
      ).optional(),
      start: key(duration, 'How long its start may take before the run fails; default 30m.', '30m').optional(),
      store: key(duration, 'How long storing in one repository may take; default 20h.', '20h').optional(),
      pickup: key(
        duration,
        'How long a run waits for the worker of another host, a backup machine say; default 30m.',
        '2h',
      ).optional(),
      reserve: key(
        size,
        'Space that must stay free on each disk; default the larger of 5 GB and 10 %.',
        '20GB',
      ).optional(),
    }),
    'What ends a step that takes too long or too much.',
    { downtime: '10m' },
  ).optional(),
  pull: key(
    z.strictObject({
      ...sshKeys,
      state: key(path, "Its worker's state directory; default /var/lib/holdfast.", '/var/lib/holdfast').optional(),
    }),
    'On a backup machine: where this site of another `host` is pulled from, over SSH.',
    { address: '192.0.2.10', key: '/etc/holdfast/pull.key', knownHosts: '/etc/holdfast/known_hosts' },
  ).optional(),
  restoreTest: key(
    z.strictObject({
      scratch: key(path, 'Where restores are rehearsed: needs room for the whole site.', '/mnt/scratch').optional(),
      boot: key(flag, 'Start the restored application in isolation and probe it.', true).optional(),
      start: key(command, 'How to start the restored application, run in its directory.', [
        './videocms',
        'serve:main',
      ]).optional(),
      sample: key(
        form(/^1\/[1-9]\d{0,2}$/, 'must be a share such as 1/12; 1/1 reads everything'),
        'The share of the files that each test reads in full, in turn; default 1/12.',
        '1/12',
      ).optional(),
    }),
    'How a restore is rehearsed.',
    { scratch: '/mnt/scratch', boot: true },
  ).optional(),
  hooks: key(hooks, 'Programs of yours around a run.', {
    condition: ['/usr/bin/mountpoint', '-q', '/mnt/nas'],
  }).optional(),
  operations: key(
    z.record(name, operation),
    'Risky operations by name, for `holdfast guard`: checked, captured, done, checked, and rolled back on failure.',
    { update: { run: ['/usr/local/bin/update-app'] } },
  ).optional(),
  keep: key(keep, 'Overrides single counts of `defaults` and of the repository.', { daily: 14 }).optional(),
  notify: key(z.array(text), 'Names of `notify`; default those of `defaults`.', ['ops']).optional(),
});
export type SiteLines = z.infer<typeof Site>;
