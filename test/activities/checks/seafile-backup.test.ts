import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { seafileChecks } from '../../../activities/checks/seafile.js';
import { collecting } from '../../../activities/checks/seafile-collecting.js';
import { dumpedRows } from '../../../activities/checks/seafile-dump.js';
import { objectPath, readCommit } from '../../../activities/checks/seafile-objects.js';
import type { Restored } from '../../../activities/contracts.js';
import { isFailure } from '../../../src/core/failures.js';
import { type TestContext, testContext } from '../../support/context.js';
import { MAIN, makeSeafile, SECRET, type SeafileSite, seafilePlan, VIRTUAL } from '../../support/seafile-site.js';
import { eventually } from '../../support/toy.js';
import { restored } from '../../support/videocms-site.js';

const temporary = () => mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
const collect = async <T>(items: AsyncIterable<T>) => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

describe('seafile, while it is backed up', () => {
  let ctx: TestContext;
  let site: SeafileSite;
  let back: Restored;
  before(async () => {
    ctx = await testContext();
    site = makeSeafile(await temporary());
    back = await restored(await seafilePlan(site.root), ctx);
  });
  const capture = () => ({ ...back, file: (path: string) => join(back.root, '.holdfast', path) });
  const references = () => collect(seafileChecks.references!(capture(), ctx));
  /** Takes an object away for as long as `use` goes on. */
  const without = async (path: string, use: () => Promise<void>) => {
    execFileSync('mv', [path, `${site.root}/taken`]);
    await use().finally(() => execFileSync('mv', [`${site.root}/taken`, path]));
  };

  it('what the heads lead to is asked for, each object once, a virtual library in the store of its origin', async () => {
    const { storage, commits, blocks, fs } = site;
    const found = await references();
    assert.equal(new Set(found).size, found.length);
    for (const path of [
      objectPath(storage, 'commits', MAIN, commits.head),
      objectPath(storage, 'commits', VIRTUAL, commits.virtual),
      objectPath(storage, 'fs', MAIN, fs.folder),
      objectPath(storage, 'blocks', MAIN, blocks.now),
      objectPath(storage, 'blocks', SECRET, blocks.secret),
    ])
      assert.ok(found.includes(path), path);
    for (const path of found) assert.ok(existsSync(path), path);
    assert.ok(!found.includes(objectPath(storage, 'blocks', MAIN, blocks.past)), 'history is not asked for');
  });

  it('on the machine that has pulled it, every object may be needed, as there is nothing to walk', async () => {
    const of = { host: 'web1', plan: 'digest' } as never;
    const found = await collect(seafileChecks.references!({ ...capture(), plan: { ...back.plan, of } }, ctx));
    assert.ok(found.includes(objectPath(site.storage, 'blocks', MAIN, site.blocks.past)), 'history too');
  });

  it('a missing object is asked for all the same: the backup names it', async () => {
    const path = objectPath(site.storage, 'fs', MAIN, site.fs.folder);
    await without(path, async () => assert.ok((await references()).includes(path)));
  });

  it('objects removed while they were stored: what the dump needs is a failure, garbage is told', async () => {
    const store = () => seafileChecks.afterStore!(capture(), ctx);
    await store();
    assert.deepEqual(ctx.notes, []);
    await without(objectPath(site.storage, 'blocks', MAIN, site.blocks.past), store);
    assert.match(ctx.notes.join(), /^garbage collection removed 1 objects meanwhile/);
    const needed = objectPath(site.storage, 'blocks', SECRET, site.blocks.secret);
    await without(needed, () =>
      assert.rejects(store(), (error: unknown) => {
        assert.ok(isFailure(error, 'FilesVanished'));
        assert.deepEqual((error.details?.[0] as { places?: string[] } | undefined)?.places, [needed]);
        return true;
      }),
    );
  });

  it('a configuration for the other kind of database is refused: a left-over file would be backed up in vain', async () => {
    const { plan } = back;
    await seafileChecks.preflight!(plan, ctx);
    const other = { ...plan, options: { ...plan.options, mysql: { schemas: {} } } };
    await assert.rejects(seafileChecks.preflight!(other, ctx), /seafile.conf says type = sqlite/);
  });

  it('seaf-fsck is read by what it says, as its exit code is 0 on lost data', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a network namespace needs root');
    const home = back.relocate(join(site.top, 'seafile-server-11.0.12/seafile/bin'));
    const boot = async (says: string) => {
      mkdirSync(home, { recursive: true });
      writeFileSync(
        join(home, 'seaf-fsck'),
        `#!/bin/sh\n[ "$1 $3 $5" = "-c -d -F" ] && [ -d "$4/storage" ] || exit 1\n${says}\n`,
      );
      chmodSync(join(home, 'seaf-fsck'), 0o755);
      return seafileChecks.boot!(back, ctx);
    };
    const looked = 'echo "[02/13/15 16:21:07] fsck.c(514): Fsck finished for repo ca1a860d."';
    const [whole] = await boot(looked);
    if (!whole) return t.skip('this machine allows no namespaces');
    assert.deepEqual([whole.ok, whole.evidence], [true, 'it looked at 1 libraries and named no damage']);
    const [bad] = await boot(`echo "[02/13/15] fsck.c(85): Block 650fb224 is missing."; ${looked}; exit 0`);
    assert.deepEqual([bad?.ok, bad?.places], [false, ['fsck.c(85): Block 650fb224 is missing.']]);
    assert.equal((await boot('exit 0'))[0]?.ok, false, 'it looked at nothing');
    assert.deepEqual(await boot('exit 1').then(([check]) => check?.ok), false);
    // What ran in isolation has no network at all.
    const [alone] = await boot(`test "$(tail -n +3 /proc/net/dev | wc -l)" -le 1 && ${looked}`);
    assert.equal(alone?.ok, true);
  });
});

describe('garbage collection of seafile', () => {
  const started: ChildProcess[] = [];
  after(() => {
    for (const child of started) if (child.pid) process.kill(-child.pid, 'SIGKILL');
  });
  const run = async (program: string, args: string[], cwd: string) => {
    mkdirSync(join(cwd, 'seafile-server-latest'), { recursive: true });
    const script = join(cwd, 'seafile-server-latest', program);
    writeFileSync(script, 'echo ready\nread -r forever\n');
    const child = spawn('/bin/sh', [`./seafile-server-latest/${program}`, ...args], { cwd, detached: true });
    started.push(child);
    await new Promise((done) => child.stdout?.once('data', done));
    return child.pid as number;
  };
  const stop = async (pid: number) => {
    const child = started.find((each) => each.pid === pid);
    const ended = new Promise((done) => child?.once('exit', done));
    process.kill(-pid, 'SIGKILL');
    started.splice(started.indexOf(child as ChildProcess), 1);
    await ended;
  };

  it('is seen where it works on this seafile-data, by its argument or by the place of its script', async () => {
    const [ours, other] = [await temporary(), await temporary()];
    for (const top of [ours, other]) mkdirSync(join(top, 'seafile-data'));
    const data = join(ours, 'seafile-data');
    const seen = async () => (await collecting(data)).map(({ program }) => program);
    const cases: [program: string, args: string[], cwd: string, seen: boolean][] = [
      ['seafserv-gc', ['-c', 'ccnet', '-d', data, '-F', 'conf'], other, true],
      ['seafserv-gc', ['-d', 'seafile-data', '-r'], ours, true],
      ['seafserv-gc', ['-d', join(other, 'seafile-data')], ours, false],
      ['seafserv-gc', ['-d', data, '-D'], ours, false],
      ['seaf-gc.sh', ['-r'], ours, true],
      ['seaf-gc.sh', [], other, false],
      ['seaf-gc.sh', ['--dry-run'], ours, false],
      ['seaf-fsck', ['-d', data], ours, false],
      ['seaf-fsck', ['-d', data, '-r'], ours, true],
      ['seaf-fsck.sh', ['--repair'], ours, true],
    ];
    for (const [program, args, cwd, expected] of cases) {
      const pid = await run(program, args, cwd);
      assert.deepEqual(await seen(), expected ? [program] : [], `${program} ${args.join(' ')}`);
      await stop(pid);
    }
    await eventually('nothing is seen any more', 60_000, async () => (await seen()).length === 0);
  });

  it('holds a backup back: the failure is one that waits', async () => {
    const site = makeSeafile(await temporary());
    const plan = await seafilePlan(site.root);
    const ctx = await testContext({ step: 'prepare' });
    const gc = await run('seafserv-gc', ['-d', join(site.top, 'seafile-data')], await temporary());
    await assert.rejects(seafileChecks.preflight!(plan, ctx), (error: unknown) => {
      assert.ok(isFailure(error, 'SiteBusy'));
      assert.equal(error.nonRetryable, false);
      assert.match(error.message, new RegExp(`seafserv-gc \\(pid ${gc}\\)`));
      return true;
    });
    await stop(gc);
    await seafileChecks.preflight!(plan, ctx);
  });
});

describe('objects and dumps of seafile', () => {
  it('a commit that a real server wrote has the id that it says', async () => {
    // Of the public test storage of haiwen/seafobj.
    const id = 'a24bf4385e5df18922337390e757c4b7789d853d';
    const library = '3f9e4aa5-d6ba-4066-a1d6-81824f422af1';
    const text = `{"commit_id": "${id}", "parent_id": "ffc32568c059e9532cb426f19f8138c624c5cdd4", "version": 1, "root_id": "e03ba3543f3e96e20ffa2bb086f7a79194311724", "creator_name": "admin@admin.com", "repo_id": "${library}", "creator": "${'0'.repeat(40)}", "second_parent_id": null, "description": "Renamed directory \\"create_renamed_folder\\"", "ctime": 1517211913, "repo_name": "obj_test", "repo_desc": "", "repo_category": null, "no_local_history": 1}`;
    const path = join(await temporary(), 'commit');
    writeFileSync(path, text);
    const { is } = await readCommit(path, library, id);
    assert.deepEqual([is?.root, is?.ctime], ['e03ba3543f3e96e20ffa2bb086f7a79194311724', 1517211913]);
    writeFileSync(path, text.replace('Renamed', 'renamed'));
    assert.equal((await readCommit(path, library, id)).problem, 'holds other bytes than its name says');
  });

  it('rows are read from a dump as MySQL and as MariaDB write it, whatever stands in a text', async () => {
    const path = join(await temporary(), 'dump.sql');
    const odd = "it\\'s (a), \\\\ path;\\n\u2028 ''x''";
    writeFileSync(
      path,
      [
        'USE `ccnet_db`;',
        'CREATE TABLE `Repo` (',
        '  `repo_id` char(37)',
        ') ENGINE=InnoDB;',
        "INSERT INTO `Repo` VALUES ('of another schema');",
        'USE `seafile_db`;',
        'CREATE TABLE `Noise` (',
        '  `text` text',
        ');',
        "INSERT INTO `Noise` VALUES ('INSERT INTO `Repo` VALUES (1);');",
        'CREATE TABLE `Repo` (',
        '  `id` bigint(20) NOT NULL AUTO_INCREMENT,',
        '  `repo_id` char(37) DEFAULT NULL,',
        '  `path` text,',
        '  PRIMARY KEY (`id`)',
        ') ENGINE=InnoDB;',
        `INSERT INTO \`Repo\` VALUES (1,'a','${odd}'),(2,NULL,_binary 'b\\0');`,
        'INSERT INTO `Repo` VALUES',
        "(3,'c',''),",
        "(4,'d','e');",
        "INSERT INTO `Repo` (`path`, `id`) VALUES ('f',5);",
        '-- Dump completed',
      ].join('\n'),
    );
    const rows = await collect(dumpedRows(path, (schema, table) => schema === 'seafile_db' && table === 'Repo'));
    assert.deepEqual(
      rows.map(({ values }) => values),
      [
        { id: '1', repo_id: 'a', path: "it's (a), \\ path;\n\u2028 'x'" },
        { id: '2', repo_id: null, path: 'b\0' },
        { id: '3', repo_id: 'c', path: '' },
        { id: '4', repo_id: 'd', path: 'e' },
        { path: 'f', id: '5' },
      ],
    );
  });
});
