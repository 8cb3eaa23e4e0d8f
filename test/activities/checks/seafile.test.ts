import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { before, describe, it } from 'node:test';
import { seafileChecks } from '../../../activities/checks/seafile.js';
import { objectPath } from '../../../activities/checks/seafile-objects.js';
import type { Restored } from '../../../activities/contracts.js';
import { Library } from '../../../examples/seafile/library.mjs';
import type { Check } from '../../../src/core/report.js';
import { type TestContext, testContext } from '../../support/context.js';
import { MAIN, makeSeafile, SECRET, type SeafileSite, seafilePlan, VIRTUAL } from '../../support/seafile-site.js';
import { flip, restored } from '../../support/videocms-site.js';

const failed = (found: Check[]) => found.filter(({ ok }) => !ok).map(({ name }) => name);
const one = (found: Check[], name: string) => {
  const check = found.find((each) => each.name === name);
  assert.ok(check, `there is a check "${name}"`);
  return check;
};
const sql = (path: string, script: string) => execFileSync('sqlite3', [path, script]).toString().trim();

describe('checks of seafile', () => {
  let ctx: TestContext;
  let site: SeafileSite;
  let base: Restored;
  before(async () => {
    ctx = await testContext();
    site = makeSeafile(await mkdtemp(join(tmpdir(), 'holdfast-seafile-')));
    base = await restored(await seafilePlan(site.root), ctx);
  });

  /** The restored installation once more, after `damage` to its objects and its library database. */
  const check = async (
    damage: (at: { storage: string; database: string; accounts: string }) => void,
    more: Partial<Pick<Restored, 'part'>> & { options?: object; everything?: boolean } = {},
  ) => {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
    execFileSync('cp', ['-a', `${base.root}/.`, root]);
    const relocate = (path: string) => resolve(root, relative(site.root, path));
    damage({
      storage: relocate(site.storage),
      database: relocate(join(site.top, 'seafile-data/seafile.db')),
      accounts: relocate(join(site.top, 'ccnet/PeerMgr/usermgr.db')),
    });
    const plan = { ...base.plan, options: { ...base.plan.options, ...more.options } };
    const scratch = await mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
    // The others have no rule: to look at them each time would only take long.
    const databases = base.manifest.databases.filter(({ name }) => ['seafile', 'usermgr'].includes(name));
    const manifest = more.everything ? base.manifest : { ...base.manifest, databases };
    return seafileChecks.checks({ ...base, ...more, manifest, plan, root, relocate, scratch }, ctx);
  };

  it('a whole installation passes every check, with evidence', async () => {
    const found = await check(() => {}, { everything: true });
    assert.deepEqual(failed(found), []);
    assert.equal(one(found, 'libraries').evidence, 'each of 3 libraries has its branch');
    assert.match(one(found, 'commits').evidence, /^5 commits/);
    assert.match(one(found, 'blocks').evidence, /^5 blocks are there/);
    assert.match(one(found, 'block contents').evidence, /^5 blocks with .* \(share 1\/1\)/);
    assert.equal(one(found, 'directories without a library').places, undefined);
    for (const name of ['usermgr', 'groupmgr', 'orgmgr', 'config', 'seafile', 'seahub'])
      assert.equal(one(found, `${name}: rows`).ok, true);
  });

  it('a library in the trash is asked for too, as it can be taken out again', async () => {
    const id = '44444444-4444-4444-8444-444444444444';
    const trash = ({ storage, database }: { storage: string; database: string }) => {
      const library = new Library(storage, id);
      const file = library.file('thrown away');
      const root = library.dir({ name: 'a.txt', id: file, dir: false, size: 11 });
      const head = library.commit({ root, ctime: 1_700_000_000, parent: 'ab'.repeat(20) });
      sql(database, `INSERT INTO RepoTrash VALUES ('${id}', '${head}')`);
      return objectPath(storage, 'blocks', id, library.block('thrown away'));
    };
    const whole = await check(trash);
    assert.deepEqual(
      failed(whole).filter((name) => !name.startsWith('seafile: ')),
      [],
    );
    assert.match(one(whole, 'blocks').evidence, /^6 blocks are there/);
    const lost = await check((at) => rmSync(trash(at)));
    assert.match(one(lost, 'blocks').evidence, /library 44444444-.* is missing/);
  });

  it('a missing and a flipped fs object are named with the library that has them', async () => {
    const path = (storage: string) => objectPath(storage, 'fs', MAIN, site.fs.folder);
    const name = `library ${MAIN}: fs object ${site.fs.folder}`;
    const flipped = await check(({ storage }) => flip(path(storage), 20));
    assert.deepEqual(one(flipped, 'fs objects').places, [`${name} holds other bytes than its name says`]);
    const missing = await check(({ storage }) => rmSync(path(storage)));
    assert.deepEqual(one(missing, 'fs objects').places, [`${name} is missing`]);
  });

  it('wrong heads are named: one that leads nowhere, one that is no id', async () => {
    const found = await check(({ database }) =>
      sql(
        database,
        `UPDATE Branch SET commit_id = '${'ab'.repeat(20)}' WHERE repo_id = '${SECRET}';
         UPDATE Branch SET commit_id = '../../../../etc/passwd' WHERE repo_id = '${VIRTUAL}'`,
      ),
    );
    const [first, second] = one(found, 'commits').places?.sort() ?? [];
    assert.match(first ?? '', new RegExp(`^library ${VIRTUAL}: commit .*passwd is no commit of a library`));
    assert.match(second ?? '', new RegExp(`^library ${SECRET}: commit (ab){20} is missing`));
  });

  it('no library at all is no proof', async () => {
    const found = await check(({ database }) => sql(database, 'DELETE FROM Repo; DELETE FROM Branch'));
    assert.match(one(found, 'libraries').places?.join() ?? '', /there is no library/);
  });

  it('data that is older than the dump is named; a dump that is older than the data proves', async () => {
    const head = 'cd'.repeat(20);
    const behind = await check(({ database }) =>
      sql(database, `UPDATE Branch SET commit_id = '${head}' WHERE repo_id = '${MAIN}'`),
    );
    assert.deepEqual(one(behind, 'commits').places, [`library ${MAIN}: commit ${head} is missing`]);
    const ahead = await check(({ storage }) => {
      new Library(storage, MAIN).file('newer than the rows');
      new Library(storage, '44444444-4444-4444-8444-444444444444').block('a library of tomorrow');
    });
    assert.deepEqual(failed(ahead), []);
    assert.deepEqual(one(ahead, 'directories without a library').places, ['44444444-4444-4444-8444-444444444444']);
  });

  it('a database that cannot be read makes every rule fail, as none was looked at', async () => {
    const found = await check(({ accounts }) => writeFileSync(accounts, 'no database at all'));
    for (const name of ['libraries', 'owners', 'commits', 'blocks', 'block contents'])
      assert.match(one(found, name).evidence, /^could not be made/);
  });

  it('a dump that is cut is named, and nothing is taken as proven by it', async () => {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
    const file = 'databases/seafile/seafile.sql.20261121T030000Z';
    mkdirSync(join(root, '.holdfast/databases/seafile'), { recursive: true });
    writeFileSync(join(root, '.holdfast', file), "USE `seafile_db`;\nINSERT INTO `Repo` VALUES ('");
    const fingerprint = { tables: { 'seafile_db.Repo': 3 }, schemaSha256: '0', userVersion: 0 };
    const entry = {
      name: 'seafile',
      kind: 'mysql',
      format: 'sql',
      file,
      bytes: 900,
      sha256: 'f'.repeat(64),
      fingerprint,
    };
    const manifest = { ...base.manifest, databases: [entry], fileSets: [] };
    const plan = { ...base.plan, options: { ...base.plan.options, mysql: { schemas: {} } } };
    const scratch = await mkdtemp(join(tmpdir(), 'holdfast-seafile-'));
    const found = await seafileChecks.checks({ ...base, root, manifest, plan, scratch }, ctx);
    assert.deepEqual(one(found, 'seafile: file').places, [file]);
    assert.match(one(found, 'seafile: integrity').evidence, /does not end with -- Dump completed/);
    for (const name of ['libraries', 'commits', 'blocks'])
      assert.match(one(found, name).evidence, /^could not be made/);
  });

  it('what garbage collection may have taken is not asked for', async () => {
    const found = await check(({ storage, database }) => {
      sql(database, `INSERT INTO RepoValidSince VALUES ('${MAIN}', 1700000150)`);
      rmSync(objectPath(storage, 'blocks', MAIN, site.blocks.past));
    });
    assert.deepEqual(failed(found), ['seafile: rows', 'files']);
    // The head of the main library, and those of the two others.
    assert.match(one(found, 'commits').evidence, /^3 commits/);
  });

  it('damage that the config knows of is told, and no rule fails for it', async () => {
    const found = await check(({ storage }) => rmSync(objectPath(storage, 'blocks', SECRET, site.blocks.secret)), {
      options: { damaged: [SECRET] },
    });
    assert.equal(one(found, 'blocks').ok, true);
    assert.deepEqual(one(found, 'known damage').places, [`library ${SECRET}: block ${site.blocks.secret} is missing`]);
  });

  it('the shares of as many runs are all blocks, and each run knows that all are there', async () => {
    let read = 0;
    for (const n of [1, 2]) {
      const found = await check(() => {}, { part: { n, of: 2 } });
      assert.match(one(found, 'blocks').evidence, /^5 blocks/);
      read += Number.parseInt(one(found, 'block contents').evidence, 10);
    }
    assert.equal(read, 5);
  });
});
