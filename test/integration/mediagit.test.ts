import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ObjectStore } from '../../activities/checks/mediagit-store.js';
import { verifyRepository } from '../../activities/checks/mediagit-verify.js';
import { findProgram } from '../../activities/tools/programs.js';
import { reportOf } from '../../src/client/follow.js';
import { testContext } from '../support/context.js';
import { createLab, type Lab } from '../support/lab.js';
import { approve, runPlain, startPlain } from '../support/lab-runs.js';
import {
  fixture,
  NO_MEDIAGIT_FIXTURES,
  type Sample,
  sampleRepository,
  unpackSet,
} from '../support/mediagit-repository.js';
import { flip } from '../support/videocms-site.js';

/*
 * MediaGit on a real server: backed up while nothing stops, destroyed, restored in place and elsewhere, proven; one flipped byte that
 * its own fsck would not see is named; and a damaged live repository is mended from the backup.
 */

const bucket = findProgram('rclone') !== undefined;
const opened = await createLab({
  videos: 1,
  mb: 1,
  configure: (config, { dir }) => {
    const limits = { reserve: '10MB' };
    const site = (name: string) => ({
      app: 'mediagit',
      root: join(dir, name),
      service: 'none',
      repositories: name === 'media' ? ['nas', 'local'] : [bucket ? 'bucket' : 'local'],
      restoreTest: { scratch: join(dir, 'scratch'), sample: '1/1' },
      limits,
    });
    if (bucket) config.repositories.bucket = { engine: 'rclone', location: join(dir, 'repositories/bucket') };
    config.sites = { media: site('media'), project: site('project') };
  },
});
const skip = typeof opened === 'string' ? opened : false;
const lab = opened as Lab;
const root = (name: string) => join(lab.dir, name);
let sample: Sample;

before(async () => {
  if (skip) return;
  sample = await sampleRepository(join(root('media'), '.mediagit'));
  await writeFile(join(root('media'), 'notes.txt'), 'a work tree');
  await lab.startWorker();
});
after(async () => {
  if (!skip) await lab.end();
});

async function listing(git: string): Promise<string> {
  return execFileSync('sh', ['-c', 'find . -type f | LC_ALL=C sort | xargs -d "\\n" sha256sum'], {
    cwd: git,
    encoding: 'utf8',
  });
}

async function isWhole(git: string): Promise<void> {
  const bad: string[] = [];
  const store = await ObjectStore.open(join(git, 'objects'));
  const say = ({ state, id }: { state: string; id: string }) => state === 'good' || state === 'there' || bad.push(id);
  const { refs } = await verifyRepository({ git, store }, { n: 1, of: 1 }, say, await testContext());
  assert.deepEqual([bad, refs.filter(({ broken }) => broken)], [[], []]);
}

test('it is backed up while it is used, destroyed, and restored in place and elsewhere', { skip }, async () => {
  const said = await lab.holdfast(['explain', 'media', '--config', lab.configPath]);
  assert.match(said.out, /Expected size\n {2}size: objects [\d.]+ KB/, said.err);
  const backup = await runPlain(lab, 'backup', { site: 'media' });
  assert.equal(backup.outcome, 'completed', backup.said);
  assert.deepEqual(
    backup.repositories.map(({ repository, level }) => [repository, level]),
    [
      ['nas', 'verified'],
      ['local', 'verified'],
    ],
  );
  assert.equal(backup.downtimeMs, undefined, 'nothing was stopped');
  const { git } = sample;
  const was = await listing(git);

  const elsewhere = await runPlain(lab, 'restore', { site: 'media', target: 'copy', repository: 'local' });
  assert.equal(elsewhere.outcome, 'completed', elsewhere.said);
  const copy = join(lab.restored, 'copy/.mediagit');
  await isWhole(copy);
  const config = await readFile(join(copy, 'config.toml'), 'utf8');
  assert.match(config, new RegExp(`base_path = "${copy}/objects"`), 'the copy never reads or writes the original');

  await rm(git, { recursive: true });
  const handle = await startPlain(lab, 'restore', { site: 'media' });
  await approve(handle, 'media');
  const restore = await reportOf(handle);
  assert.equal(restore.outcome, 'completed', restore.said);
  assert.equal(await listing(git), was);
  // A branch that was deleted before the backup: its commit is there, by the reflog.
  assert.match(await readFile(join(git, 'logs/refs/heads/scrap'), 'utf8'), new RegExp(sample.scrap));
  assert.ok(existsSync(sample.path('object', sample.scrap)));
});

test('it is proven by its own hashes; a damaged live repository is mended from that, and from nothing else', {
  skip,
}, async () => {
  const proof = await runPlain(lab, 'restoreTest', { site: 'media', repository: 'nas' });
  assert.equal(proof.outcome, 'completed', JSON.stringify(proof.proof?.checks));
  const names = proof.proof?.checks.map(({ name }) => name);
  for (const name of ['files', 'objects', 'chunks and manifests', 'everything reachable', 'refs'])
    assert.ok(names?.includes(name), `${name} in ${names}`);
  const was = await listing(sample.git);

  const chunk = execFileSync('sh', ['-c', 'ls ch/un/chunks__* | head -1'], {
    cwd: sample.store,
    encoding: 'utf8',
  }).trim();
  flip(join(sample.store, chunk), 1000);
  const asWas = await runPlain(lab, 'backup', { site: 'media', repositories: ['local'] });
  assert.equal(asWas.outcome, 'completed', 'existence is all that a backup can look at');
  const failed = await runPlain(lab, 'restoreTest', { site: 'media', repository: 'local' });
  assert.equal(failed.proof?.outcome, 'failed', failed.said);
  const bad = failed.proof?.checks.filter(({ ok }) => !ok);
  assert.deepEqual(
    bad?.map(({ name }) => name),
    ['chunks and manifests'],
  );
  assert.match(bad?.[0]?.places?.join() ?? '', new RegExp(`${chunk}.*clip`), 'named with the file that needs it');

  const looked = await runPlain(lab, 'verify', { site: 'media', depth: 'full' });
  assert.match(looked.said, /^THE LIVE SITE IS DAMAGED, what is stored is good: /);
  assert.deepEqual(
    looked.repositories.map(({ level, read }) => `${level}, ${read}`),
    ['verified, all data read', 'verified, all data read'],
  );
  assert.equal(looked.failures[0]?.type, 'VerifyFailed');
  assert.match(looked.failures[0]?.message ?? '', /1 objects of the live site are damaged or missing: damaged chunk/);
  await rm(sample.path('object', sample.files['page.html']!));
  const lacking = await runPlain(lab, 'backup', { site: 'media', repositories: ['local'] });
  assert.equal(lacking.outcome, 'failed', 'a backup that lacks an object is none');
  const { code, out, err } = await lab.holdfast(['repair', 'media', '--config', lab.configPath]);
  assert.equal(code, 0, out + err);
  assert.match(out, /2 repaired from nas/);
  await rm(join(sample.git, 'holdfast-damaged'), { recursive: true });
  assert.equal(await listing(sample.git), was);
  const again = await runPlain(lab, 'repair', { site: 'media' });
  assert.match(again.said, /nothing is missing or damaged/);
});

test('the real set comes back file by file', { skip: skip || NO_MEDIAGIT_FIXTURES }, async () => {
  const git = await unpackSet('project-ok', root('project'));
  const file = join(git, 'config.toml');
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace('/srv/media/project', root('project')));
  const backup = await runPlain(lab, 'backup', { site: 'project' });
  assert.equal(backup.outcome, 'completed', backup.said);
  const proof = await runPlain(lab, 'restoreTest', { site: 'project', full: true });
  assert.equal(proof.proof?.outcome, 'proven', JSON.stringify(proof.proof));
  assert.match(proof.proof.checks.find(({ name }) => name === 'objects')?.evidence ?? '', /^16 objects/);
  await rm(git, { recursive: true });
  const handle = await startPlain(lab, 'restore', { site: 'project' });
  await approve(handle, 'project');
  assert.equal((await reportOf(handle)).outcome, 'completed');
  await writeFile(file, text);
  execFileSync('sha256sum', ['--check', '--quiet', fixture('project-ok.sha256')], { cwd: root('project') });
});
