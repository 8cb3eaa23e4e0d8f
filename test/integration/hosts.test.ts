import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import { readProofs } from '../../activities/reports.js';
import { openState } from '../../activities/site/state.js';
import { reportOf, situation } from '../../src/client/follow.js';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../support/lab.js';
import { runPlain, startPlain } from '../support/lab-runs.js';
import { fingerprints, rowsOf } from '../support/lab-site.js';
import { createSecondHost, type SecondHost } from '../support/second-host.js';
import { createSshd, type Sshd } from '../support/sshd.js';
import { eventually } from '../support/toy.js';

/*
 * Two hosts on a real server: `local` has the site, `backupbox` pulls it over a real sshd into dated trees, and has the key
 * of an archive that `local` can only write.
 */

const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const BIG = 12_000_000;

const opened = await createLab({ engines: [], videos: 2, mb: 1, configure: generic });
const lab = opened as Lab;
const sshd = typeof opened === 'string' ? opened : await createSshd(join(opened.dir, 'ssh'));
const skip = typeof opened === 'string' ? opened : typeof sshd === 'string' ? sshd : false;
const opts = { skip };
const link = sshd as Sshd;
const trees = () => join(lab.dir, 'dated/cms');
let box: SecondHost;

// biome-ignore lint/suspicious/noExplicitAny: a config as a person writes it
function generic(config: any, { dir }: { dir: string }): void {
  const { cms } = config.sites;
  config.sites.cms = {
    ...cms,
    app: 'generic',
    options: {
      databases: [{ kind: 'sqlite', path: 'database/database.sqlite' }],
      files: [{ name: 'media', path: 'videos', change: 'immutable' }],
      exclude: ['**'],
    },
    restoreTest: { scratch: cms.restoreTest.scratch, sample: '1/1' },
    repositories: ['vault', 'dated'],
  };
  config.repositories = {
    vault: { engine: 'archive', location: join(dir, 'vault'), recipients: [recipient], proveOn: 'backupbox' },
    dated: { engine: 'rsync', location: join(dir, 'dated'), host: 'backupbox' },
  };
  config.restore.approval = 'input';
}

/** What a person writes on the backup machine. */
async function configOfBox(): Promise<object> {
  const key = join(lab.dir, 'age.key');
  await writeFile(key, identity, { mode: 0o600 });
  const moved = join(lab.dir, 'moved');
  const scratch = join(lab.dir, 'box-scratch');
  for (const path of [moved, scratch]) await mkdir(path);
  const options = {
    databases: [{ kind: 'sqlite', path: 'database/database.sqlite' }],
    files: [{ name: 'media', path: 'videos' }],
  };
  const common = { app: 'generic', repositories: ['vault', 'dated'], limits: { reserve: '10MB' }, options };
  return {
    version: 1,
    restore: { approval: 'input' },
    repositories: {
      vault: { engine: 'archive', location: join(lab.dir, 'vault'), recipients: [recipient], identity: { file: key } },
      dated: { engine: 'rsync', location: join(lab.dir, 'dated'), keep: { daily: 7 }, limits: { upload: '2MB/s' } },
    },
    sites: {
      cms: {
        ...common,
        host: 'local',
        root: lab.site.root,
        service: 'none',
        restoreTest: { scratch, sample: '1/1' },
        pull: { address: '127.0.0.1', port: link.port, key: link.key, knownHosts: link.knownHosts, state: lab.state },
      },
      moved: { ...common, id: 'cms', root: moved, service: 'none' },
    },
  };
}

before(async () => {
  if (skip) return;
  await writeFile(join(lab.site.media, 'big.bin'), randomBytes(BIG));
  await lab.site.start();
  box = await createSecondHost(lab, 'backupbox', await configOfBox());
  await Promise.all([lab.startWatchdog().then(() => lab.startWorker()), lab.site.healthy()]);
});
after(async () => {
  if (typeof opened === 'string') return;
  await box?.end();
  if (typeof sshd !== 'string') await sshd.cut();
  await lab.end();
});

const partial = () => existsSync(trees()) && readdirSync(trees()).find((name) => name.endsWith('.partial'));
const copied = () => {
  const name = partial();
  const text = name ? execFileSync('du', ['-s', '--block-size=1', trees()], { encoding: 'utf8' }) : '0';
  return Number.parseInt(text, 10);
};
const failureOf = (report: Report) => report.failures.map(({ message }) => message).join('\n');

test(
  'a backup machine that is away, cannot connect and is killed in mid-pull: one tree in the end, and the application never waits',
  opts,
  async () => {
    for (let i = 0; i < 5; i++) await lab.site.write();
    const run = await startPlain(lab, 'backup', { site: 'cms' });
    const pending = async () => (await situation(lab.client, run)).pending;
    await eventually('its part waits for the backup machine', 60_000, async () =>
      (await pending()).some(({ name, waiting }) => name === 'part' && waiting),
    );
    await eventually('the application is up', 60_000, () => lab.site.up());
    const pid = lab.site.pid();
    await box.start();
    await eventually('the pull finds nobody', 60_000, async () =>
      (await pending()).some(({ name, lastFailure }) => name === 'store' && /SSH connection/.test(lastFailure ?? '')),
    );
    await link.start();
    await eventually('the pull is under way', 60_000, () => copied() > 500_000);
    const before = copied();
    await box.kill();
    await box.start();
    // Meanwhile, for the server sees a dead worker only by its silence: the other host proves what this one can only write.
    const proof = await runPlain(lab, 'restoreTest', { site: 'cms', repository: 'vault' });
    assert.equal(proof.outcome, 'completed', failureOf(proof));
    assert.equal(proof.proof?.outcome, 'proven');
    assert.ok(proof.steps.some(({ step, host }) => step === 'fetch' && host === 'backupbox'));
    const known = await readProofs(await openState(lab.state), 'cms');
    assert.deepEqual(
      known.map(({ repository, outcome }) => [repository, outcome]),
      [['vault', 'proven']],
    );
    assert.deepEqual(readdirSync(join(lab.dir, 'box-scratch')), []);

    const report = await reportOf(run);
    assert.equal(report.outcome, 'completed', failureOf(report));
    assert.deepEqual(
      report.repositories.map(({ repository, level }) => [repository, level]),
      [
        ['vault', 'stored'],
        ['dated', 'verified'],
      ],
    );
    assert.match(report.notes.join('\n'), /carried on with what an earlier attempt had copied/);
    assert.ok(before > 500_000);
    assert.equal(report.sections, 1);
    assert.equal(lab.site.pid(), pid, 'nobody touched the application again');
    const names = readdirSync(trees()).filter((name) => !/\.(json|list\.gz)$/.test(name));
    assert.equal(names.length, 1, `one tree: ${names}`);
    const tree = join(trees(), names[0] ?? '');
    assert.deepEqual(await fingerprints(join(tree, lab.site.media)), await fingerprints(lab.site.media));
    assert.deepEqual(
      await rowsOf(join(tree, lab.state, 'staging/cms/current/databases/database/database.sqlite')),
      await lab.site.rows(),
    );
  },
);

test(
  'a restore on the site itself is refused where it cannot reach the trees, and reads them over SSH where it can',
  opts,
  async () => {
    const refused = await runPlain(lab, 'restore', { site: 'cms', repository: 'dated', target: 'copy' });
    assert.match(failureOf(refused), /repository dated is on backupbox; give it `ssh`/);
    const address = { address: '127.0.0.1', port: link.port, key: link.key, knownHosts: link.knownHosts };
    await lab.configure((config) => {
      config.repositories.dated.ssh = address;
    });
    const report = await runPlain(lab, 'restore', { site: 'cms', repository: 'dated', target: 'copy' });
    assert.equal(report.outcome, 'completed', failureOf(report));
    const copy = join(lab.restored, 'copy');
    assert.deepEqual(await fingerprints(join(copy, 'videos')), await fingerprints(join(lab.site.root, 'videos')));
    assert.deepEqual(await rowsOf(join(copy, 'database/database.sqlite')), await lab.site.rows());
  },
);

test('another host takes the site over: refused for another site, in place for its own', opts, async () => {
  const wrong = await runPlain(lab, 'restore', {
    site: 'wiki',
    to: 'moved@backupbox',
    approve: { site: 'moved@backupbox', snapshot: 'latest' },
  });
  assert.match(failureOf(wrong), /the snapshot is of cms, not of wiki/);
  const approval = { site: 'moved@backupbox', snapshot: 'latest' };
  const report = await runPlain(lab, 'restore', {
    site: 'cms',
    to: 'moved@backupbox',
    repository: 'dated',
    approve: approval,
  });
  assert.equal(report.outcome, 'completed', failureOf(report));
  assert.deepEqual([report.site, report.host], ['moved', 'backupbox']);
  const moved = join(lab.dir, 'moved');
  assert.deepEqual(await fingerprints(join(moved, 'videos')), await fingerprints(join(lab.site.root, 'videos')));
  assert.deepEqual(await rowsOf(join(moved, 'database/database.sqlite')), await lab.site.rows());
});

test(
  'a second backup links what is unchanged; a byte that flips is found where the trees are, and where the key is',
  opts,
  async () => {
    await lab.site.write();
    const report = await runPlain(lab, 'backup', { site: 'cms' });
    assert.equal(report.outcome, 'completed', failureOf(report));
    const [first = '', second = ''] = readdirSync(trees()).filter((name) => /-[0-9a-f]{8}$/.test(name));
    const big = (name: string) => join(trees(), name, lab.site.media, 'big.bin');
    assert.equal(statSync(big(first)).ino, statSync(big(second)).ino);
    assert.ok(Number(report.repositories[1]?.addedBytes) < BIG);

    await flipByte(big(second));
    const vault = join(lab.dir, 'vault/cms');
    await flipByte(
      join(
        vault,
        readdirSync(vault)
          .filter((name) => name.endsWith('.age'))
          .sort()
          .at(-1) ?? '',
      ),
    );
    const [verified, proof] = await Promise.all([
      runPlain(lab, 'verify', { site: 'cms', repository: 'dated', depth: 'full' }),
      runPlain(lab, 'restoreTest', { site: 'cms', repository: 'vault' }),
    ]);
    assert.match(failureOf(verified), /verify on backupbox: a tree in dated is damaged/);
    assert.match(failureOf(proof), /fetch on backupbox: an archive in vault is damaged/);
  },
);

async function flipByte(path: string): Promise<void> {
  const file = await open(path, 'r+');
  const { size, atime, mtime } = await file.stat();
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.floor(size / 2));
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, Math.floor(size / 2));
  await file.utimes(atime, mtime);
  await file.close();
}
