import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { digest } from '../../../src/config/digest.js';
import { parseConfig } from '../../../src/config/load.js';
import { derivePlan, timezoneOf } from '../../../src/config/plan.js';
import type { Config } from '../../../src/config/schema.js';
import { isFailure } from '../../../src/core/failures.js';
import { Plan } from '../../../src/core/plan.js';

const TEXT = `
version: 1
defaults: { timezone: Europe/Zurich, keep: { daily: 7, weekly: 4, monthly: 12 }, notify: [ops] }
notify:
  ops: { webhook: { file: hook }, on: [failed, down] }
  deadman: { ping: { env: PING_URL } }
restore: { root: /srv/restored, approval: input }
repositories:
  nas: { engine: restic, location: /mnt/nas/restic, password: { file: restic.key }, requireMount: true }
  offsite:
    engine: restic
    location: "s3:https://s3.example.com/backups"
    offsite: true
    password: { file: restic.key }
    credentials: { AWS_ACCESS_KEY_ID: { env: S3_ID }, AWS_SECRET_ACCESS_KEY: { env: S3_SECRET } }
    limits: { upload: 20MiB/s }
    keep: { weekly: 8 }
  unused: { engine: archive, location: /mnt/other }
sites:
  cms:
    app: videocms
    root: /srv/videocms
    service: { compose: docker-compose.yaml, names: [videocms] }
    repositories: [nas, { use: offsite, keep: { monthly: 24 } }]
    schedule: { backup: "0 3 * * *", verify: weekly, restoreTest: monthly }
    objectives: { maxAge: 26h, maxDowntime: 30s, maxProofAge: 35d }
    limits: { reserve: 10GB }
    restoreTest: { scratch: /mnt/scratch, boot: true, start: [videocms, serve:main] }
  files:
    id: seafile
    app: generic
    root: /srv/files
    services:
      - { systemd: seahub.service, stopTimeout: 2m }
      - { command: { stop: [./s.sh, stop], start: [./s.sh, start], status: { argv: [./s.sh, status], timeout: 5s } } }
      - { command: { stop: [./t.sh, stop], start: [./t.sh, start], status: [./t.sh, status] } }
    health: { http: "http://127.0.0.1:8000/", status: 302 }
    repositories: [nas]
    notify: [deadman]
    schedule: { timezone: UTC }
    hooks: { condition: [mountpoint, -q, /mnt/nas] }
`;
const FACTS = { entries: [], volumes: [] };
let config: Config;

before(async () => {
  const parsed = await parseConfig(TEXT, '/etc/holdfast/holdfast.yaml');
  assert.deepEqual(parsed.mistakes, []);
  config = parsed.config!;
});

describe('derivePlan', () => {
  it('resolves what a site inherits, in a golden plan', () => {
    const { configText, databases, fileSets, options, ...plan } = derivePlan(config, 'cms', FACTS, { host: 'local' });
    const repository = { credentials: {}, recipients: [], requireMount: false, offsite: false, appendOnly: false };
    // As it is frozen: what has no value is left out.
    assert.deepEqual(JSON.parse(JSON.stringify(plan)), {
      schema: 1,
      site: 'cms',
      siteId: 'cms',
      app: 'videocms',
      host: 'local',
      root: '/srv/videocms',
      timezone: 'Europe/Zurich',
      services: [
        {
          kind: 'compose',
          name: 'videocms',
          stopTimeoutMs: 60_000,
          file: '/srv/videocms/docker-compose.yaml',
          services: ['videocms'],
          ...(plan.services[0]?.health ? { health: plan.services[0].health } : {}),
        },
      ],
      uncovered: [],
      leftOut: [
        'videos/uploads: staging; sources that a video still needs are captured all the same',
        'logs: written anew',
      ],
      repositories: [
        {
          ...repository,
          name: 'nas',
          engine: 'restic',
          location: '/mnt/nas/restic',
          password: { file: '/etc/holdfast/restic.key' },
          requireMount: true,
          keep: { daily: 7, weekly: 4, monthly: 12 },
        },
        {
          ...repository,
          name: 'offsite',
          engine: 'restic',
          location: 's3:https://s3.example.com/backups',
          offsite: true,
          password: { file: '/etc/holdfast/restic.key' },
          credentials: { AWS_ACCESS_KEY_ID: { env: 'S3_ID' }, AWS_SECRET_ACCESS_KEY: { env: 'S3_SECRET' } },
          uploadLimit: 20 * 1024 ** 2,
          keep: { daily: 7, weekly: 8, monthly: 24 },
        },
      ],
      hooks: {},
      operations: {},
      keepAtLeastMs: 0,
      notify: [{ kind: 'webhook', name: 'ops', url: { file: '/etc/holdfast/hook' }, on: ['failed', 'down'] }],
      limits: {
        downtimeMs: 300_000,
        startMs: 1_800_000,
        storeMs: 72_000_000,
        pickupMs: 1_800_000,
        idleMs: 1_800_000,
        reserveBytes: 10e9,
      },
      objectives: { maxAgeMs: 26 * 3600e3, maxDowntimeMs: 30e3, maxProofAgeMs: 35 * 86400e3 },
      restore: { root: '/srv/restored', approval: 'input' },
      restoreTest: {
        scratch: '/mnt/scratch',
        boot: true,
        start: { argv: ['videocms', 'serve:main'], timeoutMs: 60_000 },
        sample: '1/12',
      },
    });
    assert.ok(databases.length > 0 && fileSets.length > 0 && options);
  });

  it('takes no papers of the restore that a site came from: a copy with two of them could not be restored', () => {
    const plan = (site: string, root: string) => {
      const about = [`${root}/.holdfast`, `${root}/.holdfast/reports`];
      const entries = about.map((path) => ({ path, dir: true }));
      return derivePlan(config, site, { ...FACTS, entries }, { host: 'local' });
    };
    const whole = plan('files', '/srv/files').fileSets.filter(({ root }) => root === '/srv/files');
    assert.ok(whole.length > 0);
    for (const set of whole) assert.ok(set.exclude.includes('.holdfast'), set.name);
    assert.deepEqual(plan('cms', '/srv/cms').uncovered, []);
  });

  it('takes services in their order, each with a name of its own', () => {
    const plan = derivePlan(config, 'files', FACTS, { host: 'web1' });
    assert.deepEqual(
      plan.services.map(({ kind, name, health, stopTimeoutMs }) => ({ kind, name, health, stopTimeoutMs })),
      [
        {
          kind: 'systemd',
          name: 'seahub',
          health: { http: 'http://127.0.0.1:8000/', status: 302 },
          stopTimeoutMs: 120_000,
        },
        { kind: 'command', name: 'command', health: undefined, stopTimeoutMs: 60_000 },
        { kind: 'command', name: 'command-2', health: undefined, stopTimeoutMs: 60_000 },
      ],
    );
    const command = plan.services[1];
    assert.ok(command?.kind === 'command');
    assert.deepEqual(command.status, { argv: ['/srv/files/s.sh', 'status'], cwd: '/srv/files', timeoutMs: 5_000 });
    assert.equal(plan.siteId, 'seafile');
    assert.deepEqual(plan.notify, [{ kind: 'ping', name: 'deadman', url: { env: 'PING_URL' }, on: [] }]);
    assert.deepEqual(plan.hooks.condition?.argv, ['mountpoint', '-q', '/mnt/nas']);
    assert.equal(timezoneOf(config, 'files'), 'UTC');
    assert.equal(timezoneOf(config, 'cms'), 'Europe/Zurich');
  });

  it('caps the downtime at three times the last one, and at least at five minutes', () => {
    const cap = (lastDowntimeMs: number) =>
      derivePlan(config, 'cms', FACTS, { host: 'local', lastDowntimeMs }).limits.downtimeMs;
    assert.equal(cap(1_300), 300_000);
    assert.equal(cap(200_000), 600_000);
  });

  it('holds the part of the config that the site needs, which is a config again', async () => {
    const { configText } = derivePlan(config, 'cms', FACTS, { host: 'local' });
    const text = parse(configText);
    assert.deepEqual(Object.keys(text.repositories), ['nas', 'offsite']);
    assert.deepEqual(Object.keys(text.sites), ['cms']);
    assert.deepEqual(Object.keys(text.notify), ['ops']);
    const again = await parseConfig(configText, '/elsewhere/holdfast.yaml');
    assert.deepEqual(again.mistakes, []);
    assert.deepEqual(
      derivePlan(again.config!, 'cms', FACTS, { host: 'local' }),
      derivePlan(config, 'cms', FACTS, { host: 'local' }),
    );
    // A site that tells others than the defaults say is a config of its own, too.
    const files = await parseConfig(derivePlan(config, 'files', FACTS, { host: 'local' }).configText, '/x/h.yaml');
    assert.deepEqual(files.mistakes, []);
  });

  it('is the same plan for the same config, and another for another', () => {
    const one = derivePlan(config, 'cms', FACTS, { host: 'local' });
    assert.equal(digest(one), digest(Plan.parse(JSON.parse(JSON.stringify(one)))));
    assert.equal(digest({ a: 1, b: { c: 2, d: 3 } }), digest({ b: { d: 3, c: 2 }, a: 1 }));
    assert.notEqual(digest(one), digest({ ...one, host: 'web1' }));
  });

  it('names the sites that there are', () => {
    for (const name of ['nosuch', 'constructor'])
      assert.throws(
        () => derivePlan(config, name, FACTS, { host: 'local' }),
        (error) =>
          isFailure(error, 'UnknownSite') && error.message.includes(`there is no site "${name}"; known: cms, files`),
      );
  });
});
