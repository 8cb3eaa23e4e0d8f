import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parse } from 'yaml';
import { register } from '../../../src/cli/init.js';
import { loadConfig } from '../../../src/config/load.js';
import { runCommand } from '../../support/config-cli.js';

let dir: string;
let site: string;
let file: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), 'holdfast-init-')));
  site = join(dir, 'My Videos');
  file = join(dir, 'etc/holdfast.yaml');
  await mkdir(site);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const init = (...args: string[]) =>
  runCommand(register, ['init', '--config', file, '--repository', join(dir, 'backups'), ...args], {
    cwd: site,
    env: { HOME: dir, PATH: process.env.PATH ?? '' },
  });

const COMPOSE = `services:
  videocms: { image: "kirari04/videocms:v0.1.10" }
  caddy: { image: "caddy:2" }
`;

describe('holdfast init', () => {
  it('recognises VideoCMS, and writes a config that is right', async () => {
    await writeFile(join(site, 'docker-compose.yaml'), COMPOSE);
    const { code, out } = await init('--engine', 'restic');
    assert.equal(
      out,
      [
        `wrote ${file}: my-videos, videocms in ${site}`,
        '  VideoCMS: a service runs kirari04/videocms:v0.1.10',
        `  stopped: videocms of ${site}/docker-compose.yaml`,
        `  backups go to ${dir}/backups (restic)`,
        `  made the password ${dir}/etc/restic.key; without a copy of it elsewhere no backup can be read`,
        `next: holdfast explain my-videos --config ${file}`,
        '',
      ].join('\n'),
    );
    assert.equal(code, 0);
    const config = await loadConfig(file, { look: 'all' });
    assert.deepEqual(config.sites['my-videos']?.service, {
      compose: join(site, 'docker-compose.yaml'),
      names: ['videocms'],
    });
    assert.equal(config.defaults?.timezone, Intl.DateTimeFormat().resolvedOptions().timeZone);
    assert.ok(config.restore?.root, 'a first restore beside the live site needs it');
    const key = join(dir, 'etc/restic.key');
    assert.equal((await stat(key)).mode & 0o777, 0o600);
    assert.match(await readFile(key, 'utf8'), /^[\w-]{43}\n$/);
  });

  it('finds the databases of an application that it does not know', async () => {
    await mkdir(join(site, 'data'));
    await writeFile(join(site, 'data/wiki.bin'), 'SQLite format 3\0…');
    await writeFile(join(site, 'data/readme.db'), 'no database');
    const { code, out } = await init('--unit', 'wiki.service', '--name', 'wiki', '--engine', 'archive');
    assert.equal(code, 0, out);
    const { sites, repositories } = await loadConfig(file, { look: 'all' });
    assert.deepEqual(sites.wiki?.options, { databases: [{ kind: 'sqlite', path: 'data/wiki.bin' }] });
    assert.deepEqual(sites.wiki?.service, { systemd: 'wiki.service' });
    assert.deepEqual(repositories.main, { engine: 'archive', location: join(dir, 'backups') });
  });

  it('is not led to back up Holdfast itself by the compose file of its checkout', async () => {
    await writeFile(join(site, 'docker-compose.yaml'), COMPOSE);
    await writeFile(join(site, 'package.json'), '{ "name": "holdfast" }');
    const refused = await init();
    assert.equal(refused.code, 2);
    assert.match(refused.err, /is Holdfast itself; name your application's directory: holdfast init --root/);
    assert.equal((await init('--root', site)).code, 0);
  });

  it('never overwrites a config or a key', async () => {
    await mkdir(join(dir, 'etc'));
    await writeFile(file, 'mine');
    const refused = await init('--none');
    assert.equal(refused.code, 2);
    assert.match(refused.err, /there is a config at .*init never overwrites one/);
    assert.equal(await readFile(file, 'utf8'), 'mine');
    await rm(file);
    await writeFile(join(dir, 'etc/restic.key'), 'old', { mode: 0o600 });
    assert.equal((await init('--none', '--engine', 'restic')).code, 0);
    assert.equal(await readFile(join(dir, 'etc/restic.key'), 'utf8'), 'old');
  });

  it('recognises Seafile by its image, without the services beside it, and by its data', async () => {
    const services =
      'services: { db: { image: "mariadb:10.11" }, seafile: { image: "seafileltd/seafile-mc:13.0-latest" } }';
    await writeFile(join(site, 'docker-compose.yaml'), services);
    const { out } = await init('--dry-run', '--engine', 'archive');
    const docker = (parse(out) as { sites: Record<string, { app: string; service: object }> }).sites['my-videos'];
    assert.deepEqual(
      [docker?.app, docker?.service],
      ['seafile', { compose: 'docker-compose.yaml', names: ['seafile'] }],
    );
    await rm(join(site, 'docker-compose.yaml'));
    await mkdir(join(site, 'seafile-data'), { recursive: true });
    const classic = await init('--none', '--dry-run', '--engine', 'archive');
    assert.equal((parse(classic.out) as { sites: Record<string, { app: string }> }).sites['my-videos']?.app, 'seafile');
  });

  it('recognises MediaGit, ApisCP and Varasto, and stops nothing that never is', async () => {
    const found = async (place: string, ...said: string[]) => {
      await mkdir(join(site, place), { recursive: true });
      const { code, out, err } = await init('--dry-run', '--engine', 'archive', ...said);
      await rm(join(site, place.split('/')[0] ?? ''), { recursive: true });
      if (code !== 0) return err;
      const { app, service } = (parse(out) as { sites: Record<string, { app: string; service: unknown }> }).sites[
        'my-videos'
      ]!;
      return [app, service];
    };
    assert.deepEqual(await found('.mediagit/HEAD'), ['mediagit', 'none']);
    await mkdir(join(site, 'site12/info'), { recursive: true });
    assert.deepEqual(await found('site12/shadow'), ['apiscp', 'none']);
    assert.deepEqual(await found('varasto.db', '--unit', 'varasto.service'), [
      'varasto',
      { systemd: 'varasto.service' },
    ]);
    assert.match(String(await found('varasto.db')), /no compose file in .*; name one with --compose/);
    // A compose file beside the repository is of something else.
    await writeFile(join(site, 'compose.yaml'), 'services: { web: { image: nginx } }');
    assert.deepEqual(await found('.mediagit/HEAD'), ['mediagit', 'none']);
  });

  it('keeps the key out of the site that it backs up', async () => {
    file = join(site, 'holdfast.yaml');
    assert.equal((await init('--none', '--engine', 'restic')).code, 0);
    assert.equal((await stat(join(dir, '.config/holdfast/restic.key'))).mode & 0o777, 0o600);
  });

  it("writes the schedules of each application's own document", async () => {
    const asked: [string, string][] = [
      ['generic', 'daily'],
      ['seafile', '0 3 * * *'],
      ['mediagit', '0 2 * * *'],
      ['varasto', 'hourly'],
    ];
    for (const [app, backup] of asked) {
      const { out } = await init('--none', '--dry-run', '--engine', 'archive', '--app', app);
      const { sites } = parse(out) as { sites: Record<string, { schedule: object }> };
      assert.deepEqual(sites['my-videos']?.schedule, { backup, verify: 'weekly', restoreTest: 'monthly' });
    }
    assert.match((await init('--none', '--dry-run', '--app', 'mediagit')).out, /# MediaGit's recovery plan: daily/);
  });

  it('only shows it with --dry-run', async () => {
    const { code, out } = await init('--none', '--dry-run', '--engine', 'restic');
    assert.equal(code, 0);
    assert.match(out, /^# yaml-language-server/);
    await assert.rejects(stat(join(dir, 'etc')), { code: 'ENOENT' });
  });

  it('says what is lacking', async () => {
    const cases: [string[], RegExp][] = [
      [[], /no compose file in .*; name one with --compose, a systemd unit with --unit, or say --none/],
      [['--none', '--app', 'videocsm'], /there is no application "videocsm"; did you mean "videocms"\?/],
      [['--none', '--engine', 'tar'], /there is no engine "tar"; name restic or archive/],
      [['--none', '--name', 'A_B'], /"A_B" is no name/],
      [['--compose', 'none.yaml'], /none\.yaml cannot be read/],
    ];
    for (const [args, expected] of cases) {
      const { code, err } = await init(...args);
      assert.equal(code, 2);
      assert.match(err, expected);
    }
  });

  it('says what would be wrong with what was asked for', async () => {
    const { code, out } = await init('--none', '--engine', 'archive', '--repository', join(site, 'backups'));
    assert.equal(code, 2);
    assert.match(out, /to correct: .*the repository lies inside site my-videos/);
    assert.match(out, /next: holdfast config validate/);
  });
});
