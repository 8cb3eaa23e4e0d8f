import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { videocmsChecks } from '../../../activities/checks/videocms.js';
import type { Restored } from '../../../activities/contracts.js';
import { findProgram } from '../../../activities/tools/programs.js';
import type { Check } from '../../../src/core/report.js';
import { type TestContext, testContext } from '../../support/context.js';
import { fixtureSite, flip, generatedSite, NO_FIXTURES, planOf, restored } from '../../support/videocms-site.js';

const failed = (found: Check[]) => found.filter(({ ok }) => !ok).map(({ name }) => name);
const placesOf = (found: Check[], name: string) => found.find((check) => check.name === name)?.places ?? [];
const sql = (path: string, script: string) => execFileSync('sqlite3', [path, script]).toString().trim();
const collect = async <T>(items: AsyncIterable<T>) => {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
};

describe('checks of videocms', () => {
  let ctx: TestContext;
  before(async () => {
    ctx = await testContext();
  });
  const fresh = async (options: Record<string, unknown> = {}) => {
    const root = await generatedSite();
    return restored(planOf(root, options), ctx);
  };
  const database = (site: Restored) => join(site.root, 'database/database.sqlite');
  const folder = (site: Restored) =>
    join(site.root, sql(database(site), 'SELECT folder FROM files ORDER BY id LIMIT 1').replace('./', ''));
  const check = (site: Restored) => videocmsChecks.checks(site, ctx);

  it('a whole site passes every check, with evidence', async () => {
    const found = await check(await fresh());
    assert.deepEqual(failed(found), []);
    assert.equal(found.length, 14);
    assert.match(found.find(({ name }) => name === 'database: rows')?.evidence ?? '', /^24 rows/);
    assert.match(found.find(({ name }) => name === 'pending sources')?.evidence ?? '', /^1 originals/);
  });

  it('a database kept as SQL text proves as well', async () => {
    assert.deepEqual(failed(await check(await fresh({ format: 'sql' }))), []);
  });

  it('a damaged database is named, and proves nothing else', async () => {
    const site = await fresh();
    execFileSync('dd', ['if=/dev/urandom', `of=${database(site)}`, 'bs=4096', 'seek=1', 'count=20', 'conv=notrunc'], {
      stdio: 'ignore',
    });
    const found = failed(await check(site));
    assert.ok(found.includes('database: integrity') && found.includes('videos') && found.includes('database: rows'));
  });

  it('a missing database is a failed check and no crash', async () => {
    const site = await fresh();
    rmSync(database(site));
    assert.ok(failed(await check(site)).includes('database: file'));
    assert.ok(!existsSync(database(site)), 'and is not created');
  });

  it('a deleted segment, a cut one and an emptied one are named', async () => {
    const site = await fresh();
    const at = folder(site);
    rmSync(join(at, '240p/out1.ts'));
    execFileSync('truncate', ['-s', '0', join(at, '240p/out2.ts')]);
    execFileSync('truncate', ['-s', '-1', join(at, '360p/out0.ts')]);
    const found = await check(site);
    assert.deepEqual(failed(found), ['files', 'playlists and segments', 'rendition sizes']);
    assert.deepEqual(placesOf(found, 'files').length, 3);
    assert.deepEqual(placesOf(found, 'playlists and segments').length, 2);
    assert.deepEqual(placesOf(found, 'rendition sizes').length, 2);
  });

  it('one flipped bit is named, where the share is everything', async () => {
    const site = await fresh();
    const segment = join(folder(site), '360p/out3.ts');
    flip(segment, 1000);
    const found = await check(site);
    assert.deepEqual(failed(found), ['file contents']);
    assert.ok(placesOf(found, 'file contents')[0]?.endsWith('360p/out3.ts'));
  });

  it('twelve shares read each file once', async () => {
    const site = await fresh();
    flip(join(folder(site), '360p/out3.ts'), 1000);
    let read = 0;
    let bad = 0;
    for (let n = 1; n <= 12; n++) {
      const found = (await check({ ...site, part: { n, of: 12 } })).find(({ name }) => name === 'file contents');
      if (found?.ok) read += Number(found.evidence.split(' ')[0]);
      else {
        bad++;
        read += Number(/of (\d+)/.exec(found?.evidence ?? '')?.[1]);
      }
    }
    assert.equal(
      read,
      site.manifest.fileSets.reduce((n, set) => n + set.files, 0),
    );
    assert.equal(bad, 1);
  });

  it('an original that is still needed is stored and missed, unless it is left out on purpose', async () => {
    const site = await fresh();
    const capture = {
      manifest: site.manifest,
      plan: site.plan,
      file: (name: string) => join(site.root, '.holdfast', name),
    };
    const [extra, ...more] = await collect(videocmsChecks.extraFiles!(capture, ctx));
    assert.equal(more.length, 0);
    assert.ok(extra && existsSync(extra.path) && /not encoded yet/.test(extra.why));
    rmSync(site.relocate(extra.path));
    assert.deepEqual(failed(await check(site)), ['pending sources']);
    const without = { ...capture, plan: planOf(site.plan.root, { includePendingSources: false }) };
    assert.deepEqual(await collect(videocmsChecks.extraFiles!(without, ctx)), []);
    assert.deepEqual(failed(await check({ ...site, plan: without.plan })), []);
  });

  it('a row that points out of the site stays inside', async () => {
    const site = await fresh();
    sql(
      join(site.root, '.holdfast/databases/database/database.sqlite'),
      "UPDATE files SET path = '../../../etc/passwd' WHERE path <> ''",
    );
    const capture = {
      manifest: site.manifest,
      plan: site.plan,
      file: (name: string) => join(site.root, '.holdfast', name),
    };
    const [extra] = await collect(videocmsChecks.extraFiles!(capture, ctx));
    assert.equal(extra?.path, join(site.plan.root, 'videos/uploads/passwd'));
  });

  it('refers to each file that its rows need, and all of them are there', async () => {
    const site = await fresh();
    const capture = {
      manifest: site.manifest,
      plan: site.plan,
      file: (name: string) => join(site.root, '.holdfast', name),
    };
    const paths = await collect(videocmsChecks.references!(capture, ctx));
    // Per video 3 playlists with 4 segments and a thumbnail; one subtitle; one original.
    assert.equal(new Set(paths).size, 3 * (3 * 5 + 1) + 1 + 1);
    assert.ok(paths.every((path) => existsSync(path)));
  });

  it('starts the restored site in a network of its own and plays a segment', async (t) => {
    if (process.getuid?.() !== 0 || !findProgram('unshare') || !findProgram('ip'))
      return t.skip('needs root, unshare and ip');
    const root = await generatedSite();
    const server = new URL('../../../examples/videocms/server.mjs', import.meta.url).pathname;
    const start = { argv: [process.execPath, server, '--start-ms', '300'], timeoutMs: 60_000 };
    const site = await restored(planOf(root, {}, { restoreTest: { boot: true, sample: '1/12', start } }), ctx);
    const before = readFileSync(database(site));
    const found = await videocmsChecks.boot!(site, ctx);
    assert.deepEqual(
      found.map(({ name, ok }) => [name, ok]),
      [
        ['boot: /api/config', true],
        ['boot: one segment played', true],
      ],
    );
    assert.ok(before.equals(readFileSync(database(site))), 'the evidence is not written to');
    assert.ok(!existsSync(`${database(site)}-wal`));
  });

  it('an application that does not start is a failed check', async (t) => {
    if (process.getuid?.() !== 0 || !findProgram('unshare') || !findProgram('ip'))
      return t.skip('needs root, unshare and ip');
    const start = { argv: ['false'], timeoutMs: 60_000 };
    const site = await restored(
      planOf(await generatedSite(1), {}, { restoreTest: { boot: true, sample: '1/12', start } }),
      ctx,
    );
    const found = await videocmsChecks.boot!(site, ctx);
    assert.deepEqual(failed(found), ['boot: /api/config']);
    assert.match(found[0]?.evidence ?? '', /ended by itself \(1\)/);
  });

  for (const [kind, videos, links, qualities] of [
    ['hot', 4, 5, 5],
    ['young', 3, 4, 4],
  ] as const) {
    it(`what the real VideoCMS left is whole (${kind})`, { skip: NO_FIXTURES }, async () => {
      const found = await check(await restored(planOf(fixtureSite(kind)), ctx));
      assert.deepEqual(failed(found), []);
      const evidence = (name: string) => found.find((one) => one.name === name)?.evidence ?? '';
      assert.match(evidence('videos'), new RegExp(`^${videos} videos`));
      assert.match(evidence('links'), new RegExp(`^${links} links`));
      assert.match(evidence('rendition sizes'), new RegExp(`^${qualities} renditions`));
      assert.match(evidence('pending sources'), /1 unfinished uploads/);
    });
  }
});
