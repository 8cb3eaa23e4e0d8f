import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { mediagitChecks } from '../../../activities/checks/mediagit.js';
import { applyDelta, parseReflog } from '../../../activities/checks/mediagit-format.js';
import { ObjectStore } from '../../../activities/checks/mediagit-store.js';
import { type Finding, type Verified, verifyRepository } from '../../../activities/checks/mediagit-verify.js';
import { wasKilled } from '../../../activities/tools/killed.js';
import { isFailure } from '../../../src/core/failures.js';
import type { Plan } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';
import {
  delta,
  makeRepository,
  NO_MEDIAGIT_FIXTURES,
  noise,
  sampleRepository,
  unpackSet,
} from '../../support/mediagit-repository.js';
import { eventually } from '../../support/toy.js';
import { flip } from '../../support/videocms-site.js';

const dirs: string[] = [];
after(() => Promise.all(dirs.map((dir) => rm(dir, { recursive: true, force: true }))));

async function temp(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-mediagit-'));
  dirs.push(dir);
  return dir;
}

async function verified(git: string, part = { n: 1, of: 1 }): Promise<Verified & { bad: string[] }> {
  const bad: string[] = [];
  const say = ({ state, kind, id }: Finding) => {
    if (state === 'damaged' || state === 'missing') bad.push(`${state} ${kind} ${id.slice(0, 8)}`);
  };
  const store = await ObjectStore.open(join(git, 'objects'));
  return { ...(await verifyRepository({ git, store }, part, say, await testContext())), bad: bad.sort() };
}

const broken = ({ refs }: Verified) => refs.flatMap(({ name, broken: why }) => (why ? [`${name} ${why}`] : []));

suite('real sets of MediaGit', { skip: NO_MEDIAGIT_FIXTURES }, () => {
  test('all 21 hashed objects fit, and every branch, tag and the deleted branch resolve', async () => {
    const found = await verified(await unpackSet('project-ok', await temp()));
    assert.deepEqual(found.bad, []);
    assert.deepEqual(found.hashed, { object: 16, manifest: 1, chunk: 5, delta: 0, 'chunk-delta': 0 });
    assert.deepEqual(broken(found), []);
    assert.deepEqual(
      found.refs.map(({ name, id }) => `${name} ${id?.slice(0, 8)}`),
      ['refs/heads/grade bad022e6', 'refs/heads/main 875198b6', 'refs/tags/light 875198b6', 'refs/tags/v1.0 875198b6'],
    );
    // Two of main and grade, the first commit, and the branch that was deleted: scrap, e8597f40.
    assert.deepEqual(found.remembered, { there: 4, gone: 0 });
  });

  test('two damaged and one missing are named, where its own fsck tells of one', async () => {
    const found = await verified(await unpackSet('project-corrupt', await temp()));
    assert.deepEqual(found.bad, ['damaged chunk 329e0a85', 'damaged object d6aae7e6', 'missing object 8aaab838']);
    assert.deepEqual(
      [...found.ways].map(([id, way]) => `${id.slice(0, 8)} ${way}`).sort(),
      [
        '329e0a85 refs/heads/grade: clip-20m.mov',
        '8aaab838 refs/heads/grade: shots/a.bin',
        'd6aae7e6 refs/heads/grade: mid-100k.bin',
      ].sort(),
    );
  });

  test('a damaged chunk and a ref to nowhere are named, where its own fsck says PERFECT', async () => {
    const found = await verified(await unpackSet('project-silent', await temp()));
    assert.deepEqual(found.bad, ['damaged chunk 329e0a85']);
    assert.deepEqual(broken(found), [`refs/tags/light leads to the unknown commit ${'a'.repeat(64)}`]);
  });

  test('twelve shares together read every chunk', async () => {
    const git = await unpackSet('project-silent', await temp());
    const shares = await Promise.all(Array.from({ length: 12 }, (_, i) => verified(git, { n: i + 1, of: 12 })));
    assert.ok(shares.some(({ bad }) => bad.includes('damaged chunk 329e0a85')));
    assert.equal(shares.filter(({ bad }) => bad.length === 0).length >= 10, true);
  });
});

suite('what our reading of MediaGit finds', () => {
  for (const layout of ['init', 'clone'] as const)
    test(`a whole repository of the layout of ${layout} has nothing bad, deltas included`, async () => {
      const { git } = await sampleRepository(join(await temp(), '.mediagit'), layout);
      const found = await verified(git);
      assert.deepEqual([found.bad, broken(found)], [[], []]);
      assert.deepEqual(found.hashed, { object: 14, manifest: 2, chunk: 5, delta: 1, 'chunk-delta': 1 });
      assert.equal(found.remembered.there, 3);
    });

  test('swapped chunks in a manifest are found: each chunk is whole, the file is not', async () => {
    const sample = await sampleRepository(join(await temp(), '.mediagit'));
    const path = sample.path('manifest', sample.files['clip.mov']!);
    const data = await readFile(path);
    const [first, second] = [data.subarray(1, 33), data.subarray(1 + 32 + 1 + 3 + 2, 1 + 32 + 1 + 3 + 2 + 32)];
    await writeFile(
      path,
      Buffer.concat([data.subarray(0, 1), second, data.subarray(33, 39), first, data.subarray(71)]),
    );
    const { bad } = await verified(sample.git);
    assert.deepEqual(bad, [`damaged manifest ${sample.files['clip.mov']!.slice(0, 8)}`]);
  });

  test('refs that are empty, garbage or lead nowhere, and a HEAD without its branch', async () => {
    const { git, main } = await sampleRepository(join(await temp(), '.mediagit'));
    await writeFile(join(git, 'refs/heads/empty'), '');
    await writeFile(join(git, 'refs/heads/garbage'), 'no id\n');
    await writeFile(join(git, 'refs/tags/v1.0.meta'), JSON.stringify({ commit_oid: 'b'.repeat(64) }));
    await rm(join(git, 'refs/heads/main'));
    const found = broken(await verified(git)).sort();
    assert.deepEqual(found, [
      'HEAD leads to refs/heads/main, which does not exist',
      'refs/heads/empty holds no id',
      'refs/heads/garbage holds no id',
      'refs/tags/v1.0.meta speaks of another commit',
    ]);
    await rm(join(git, 'HEAD'));
    assert.ok(broken(await verified(git)).includes('HEAD is missing'));
    assert.equal(main.length, 64);
  });

  test('a new repository, refs of remotes without objects, and leftovers of a killed add are no failure', async () => {
    const made = await makeRepository(join(await temp(), '.mediagit'));
    assert.deepEqual(broken(await verified(made.git)), []);
    await mkdir(join(made.git, 'refs/remotes/origin'), { recursive: true });
    await writeFile(join(made.git, 'refs/remotes/origin/other'), `${'c'.repeat(64)}\n`);
    await mkdir(join(made.store, 'ch/un'), { recursive: true });
    await writeFile(join(made.store, 'ch/un', `chunks__${'d'.repeat(64)}.tmp5`), 'half');
    const found = await verified(made.git);
    assert.deepEqual([found.bad, broken(found), found.hashed.chunk], [[], [], 0]);
  });

  test('a circle of deltas ends, as damage', async () => {
    const made = await makeRepository(join(await temp(), '.mediagit'));
    const [a, b] = [noise(1000, 'a'), noise(1000, 'b')];
    await made.putDelta('delta', a, b);
    const file = await made.putDelta('delta', b, a);
    await made.ref('refs/heads/main', await made.commit({ file }));
    assert.equal((await verified(made.git)).bad.filter((line) => line.startsWith('damaged delta')).length, 2);
  });

  test('deltas and reflog lines are read by their form', () => {
    const [from, to] = [Buffer.from('one two three'), Buffer.from('one two four')];
    assert.deepEqual(applyDelta(from, delta(from, to)), to);
    assert.throws(() => applyDelta(Buffer.from('another'), delta(from, to)), /something else/);
    assert.equal(parseReflog(`${'0'.repeat(64)} ${'e'.repeat(64)} A <a@b> 1 +0000\tcommit: x`), 'e'.repeat(64));
  });
});

const planOf = (root: string, options: object = {}): Plan =>
  ({
    site: 'media',
    root,
    options,
    repositories: [{ name: 'box', engine: 'archive', recipients: [] }],
  }) as unknown as Plan;

suite('before and after a backup of MediaGit', () => {
  const failsAs = (type: Parameters<typeof isFailure>[1], text: RegExp) => (error: unknown) => {
    assert.ok(isFailure(error, type), String(error));
    assert.match((error as Error).message, text);
    return true;
  };

  test('preflight tells sizes and keys, and refuses what is none, lies elsewhere, or is the provider’s', async () => {
    const root = await temp();
    const preflight = async (options?: object) => {
      const ctx = await testContext();
      await mediagitChecks.preflight?.(planOf(root, options), ctx);
      return ctx.notes.join('\n');
    };
    await assert.rejects(preflight(), failsAs('SourceMissing', /HEAD is missing/));
    const { git } = await sampleRepository(join(root, '.mediagit'));
    assert.match(await preflight(), /^size: objects [\d.]+ [KM]B, of these manifests [\d.]+ K?B; in all [\d.]+ [KM]B$/);
    const config = await readFile(join(git, 'config.toml'), 'utf8');
    await writeFile(join(git, 'config.toml'), `${config}\n[remotes.backup]\nurl = "https://me:pw@example.invalid/x"\n`);
    assert.match(await preflight(), /config.toml holds keys, and box is not encrypted/);
    await writeFile(join(git, 'config.toml'), '[storage]\nbackend = "filesystem"\nbase_path = "/elsewhere"\n');
    await assert.rejects(preflight(), failsAs('InvalidConfig', /names other objects/));
    await writeFile(join(git, 'config.toml'), '[storage]\nbackend = "s3"\nsecret_access_key = "k"\n');
    await assert.rejects(preflight(), failsAs('InvalidConfig', /storage: cloud/));
    assert.match(await preflight({ storage: 'cloud' }), /kept by the provider/);
  });

  test('a gc or a deleting fsck of this repository is refused, one of another is not', async () => {
    const root = await temp();
    await sampleRepository(join(root, '.mediagit'));
    const bin = join(await temp(), 'mediagit');
    await writeFile(bin, '#!/bin/sh\nread line\n');
    await chmod(bin, 0o755);
    const preflight = async () => mediagitChecks.preflight?.(planOf(root), await testContext());
    for (const [args, cwd, refused] of [
      [['gc'], root, true],
      [['fsck', '--repair'], root, true],
      [['fsck'], root, false],
      [['gc'], tmpdir(), false],
    ] as const) {
      const child = spawn(bin, [...args], { cwd, stdio: ['pipe', 'ignore', 'ignore'] });
      await eventually('it runs', 60_000, async () =>
        (await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).includes(`${bin}\0${args[0]}`),
      );
      if (refused) await assert.rejects(preflight(), failsAs('StillWriting', /removes objects/));
      else await preflight();
      const ended = once(child, 'exit');
      child.stdin.end('\n');
      await ended;
    }
  });

  test('what captured refs lead to is asked for; a gc in the window fails the backup', async () => {
    const root = await temp();
    const sample = await sampleRepository(join(root, '.mediagit'));
    const capture = join(await temp(), 'files/refs');
    await cp(sample.git, capture, { recursive: true, filter: (path) => !path.includes('/objects') });
    const given = { plan: planOf(root), manifest: {} as never, file: (name: string) => join(capture, '../..', name) };
    const paths: string[] = [];
    for await (const path of mediagitChecks.references!(given, await testContext())) paths.push(path);
    assert.ok(
      paths.includes(sample.path('chunk-delta', paths.find((path) => path.includes('chunk-deltas__'))!.slice(-64))),
    );
    assert.ok(!paths.includes(sample.path('object', sample.scrap)), 'what only the reflog remembers may go');
    await mediagitChecks.afterStore?.(given, await testContext());
    await rm(join(sample.git, 'refs/heads/grade'));
    await rm(sample.path('object', sample.grade));
    await assert.rejects(
      async () => mediagitChecks.afterStore?.(given, await testContext()),
      failsAs('FilesVanished', /1 objects went while they were stored: refs\/heads\/grade/),
    );
    const lost = { ...given, plan: planOf(root, { knownLost: [sample.grade] }) };
    await mediagitChecks.afterStore?.(lost, await testContext());
    await assert.rejects(
      async () => {
        for await (const _ of mediagitChecks.references!(given, await testContext()));
      },
      failsAs('FilesVanished', /1 objects that refs lead to are missing: refs\/heads\/grade.*knownLost/),
    );
    for await (const _ of mediagitChecks.references!(lost, await testContext()));
    flip(sample.path('object', sample.main), 30);
    await assert.rejects(
      async () => {
        for await (const _ of mediagitChecks.references!(given, await testContext()));
      },
      failsAs('FilesVanished', /damaged in the live repository; run `holdfast repair media`/),
    );
    await writeFile(join(capture, 'refs/heads/grade'), 'no id\n');
    await assert.rejects(
      async () => {
        for await (const _ of mediagitChecks.references!(given, await testContext()));
      },
      failsAs('FilesVanished', /1 refs are broken: refs\/heads\/grade holds no id; .*--only refs/),
    );
  });

  test('a restored copy elsewhere names its own objects', async () => {
    const tree = await temp();
    const { git } = await sampleRepository(join(tree, '.mediagit'));
    const file = join(git, 'config.toml');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(tree, '/srv/media'));
    await chmod(file, 0o640);
    const place = { tree, at: '/srv/copy', manifest: { root: '/srv/media' } as never, plan: planOf('/srv/media') };
    await mediagitChecks.relocated?.(place, await testContext());
    assert.equal(await readFile(file, 'utf8'), text.replace(tree, '/srv/copy'));
    assert.equal(
      (await readdir(git)).some((name) => name.endsWith('.new')),
      false,
    );
    await rename(file, `${file}.gone`);
    await mediagitChecks.relocated?.(place, await testContext());
  });
});

test('a program that somebody killed in the middle of a pipe is no damaged object', async (t) => {
  const { git } = await sampleRepository(join(await temp(), '.mediagit'));
  const [bin, path] = [await temp(), process.env.PATH];
  t.after(() => Object.assign(process.env, { PATH: path }));
  for (const program of ['zstd', 'sha256sum']) {
    await writeFile(join(bin, program), '#!/bin/sh\nkill -KILL $$\n', { mode: 0o755 });
    process.env.PATH = `${bin}:${path}`;
    await assert.rejects(verified(git), wasKilled);
    await rm(join(bin, program));
  }
});
