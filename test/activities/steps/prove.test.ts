import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { objectPath } from '../../../activities/checks/seafile-objects.js';
import { wasKilled } from '../../../activities/tools/killed.js';
import { type FailureDetails, isFailure } from '../../../src/core/failures.js';
import { NO_MEDIAGIT_FIXTURES, sampleRepository, unpackSet } from '../../support/mediagit-repository.js';
import { createPipeline, eachIsNamed, planOfApp } from '../../support/pipeline.js';
import { MAIN, makeSeafile, SECRET, VIRTUAL } from '../../support/seafile-site.js';
import { fixtureSite, flip, generatedSite, NO_FIXTURES } from '../../support/videocms-site.js';

/*
 * Every kind of damage that the applications were seen with: it makes the restore test of a stored snapshot fail, and its place is named.
 * ApisCP's are in checks/apiscp.test.ts, those of Varasto's export in checks/varasto-damage.test.ts.
 */

async function stored(app: string, root: string, options: object = {}) {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-prove-'));
  const pipe = await createPipeline(await planOfApp(dir, app, root, options));
  await pipe.store(await pipe.capture(), 'local');
  return { pipe, archive: () => filesIn(join(dir, 'local/live'), '*.tar.*')[0]! };
}

const sql = (path: string, script: string) => execFileSync('sqlite3', [path, script]).toString().trim();
const filesIn = (dir: string, name: string) =>
  execFileSync('find', [dir, '-name', name, '-type', 'f']).toString().trim().split('\n').sort();
/** A failure whose words or places name it. */
const named = (words: RegExp) => (error: Error & { details?: unknown[] }) => {
  const { places } = (error.details?.[0] ?? {}) as FailureDetails;
  assert.match(JSON.stringify([error.message, places]), words);
  return true;
};

suite('VideoCMS', () => {
  const database = (tree: string) => join(tree, 'database/database.sqlite');
  const uuid = (tree: string, n: number) =>
    sql(database(tree), 'SELECT uuid FROM files ORDER BY id').split('\n')[n] ?? '';
  const media = (tree: string, n: number, name = '') => join(tree, 'videos/qualitys', uuid(tree, n), name);

  test('media, rows, logs, the dump, the repository', async () => {
    const root = await generatedSite();
    const alone = readFileSync(database(root));
    const { pipe, archive } = await stored('videocms', root, { online: true });
    const first = uuid(root, 0);
    await eachIsNamed(pipe, [
      [
        ['a folder, whose video still says ready', (t) => rmSync(media(t, 0), { recursive: true }), RegExp(first)],
        ['a missing segment', (t) => rmSync(media(t, 1, '240p/out1.ts')), /240p\/out1\.ts/],
        ['an emptied segment', (t) => truncateSync(media(t, 1, '240p/out2.ts'), 0), /240p\/out2\.ts/],
        [
          'a cut playlist',
          (t) => truncateSync(media(t, 1, '360p/out.m3u8'), 9),
          /360p\/out\.m3u8: missing, or names no segment/,
        ],
        ['a missing thumbnail', (t) => rmSync(media(t, 2, '4x4.webp')), /4x4\.webp/],
        ['a missing subtitle', (t) => rmSync(filesIn(media(t, 1), 'out.vtt')[0]!), /out\.vtt/],
        ['an original', (t) => rmSync(filesIn(join(t, 'videos/uploads'), '*.tmp.*')[0]!), /uploads\/\S+\.tmp/],
        ['a stale log', (t) => appendFileSync(`${database(t)}-wal`, 'stale'), /database\.sqlite-wal/],
        ['a stale journal', (t) => appendFileSync(`${database(t)}-journal`, 'x'), /database\.sqlite-journal/],
      ],
      [['a lost log: valid, and without a table', (t) => writeFileSync(database(t), alone), /missing: files/]],
      [['a lost row', (t) => sql(database(t), 'DELETE FROM files WHERE id = 1'), /"files: 3, not 4"/]],
    ]);
    const cut = (t: string) => truncateSync(filesIn(t, 'database.sqlite')[0]!, 8192);
    await assert.rejects(pipe.proveBrought('local', cut), named(/database\/database\.sqlite/));
    const lost = (t: string) => rmSync(join(t, media(root, 1, '240p/out3.ts')));
    await assert.rejects(pipe.proveBrought('local', lost), named(/240p\/out3\.ts/));
    flip(archive(), 50_000);
    await assert.rejects(pipe.prove('local'), named(/an archive in local is damaged.*\d{8}T[\d.]+Z-/));
  });

  test('a program that somebody kills in mid-check is no damage of the backup', async () => {
    const { pipe } = await stored('videocms', await generatedSite(), { online: true });
    const [dir, { PATH }] = [await mkdtemp(join(tmpdir(), 'holdfast-killed-')), process.env];
    writeFileSync(join(dir, 'cp'), '#!/bin/sh\nkill -9 $$\n', { mode: 0o755 });
    process.env.PATH = `${dir}:${PATH}`;
    try {
      await assert.rejects(pipe.prove('local'), (error) => isFailure(error, 'ToolFailed') && wasKilled(error));
    } finally {
      process.env.PATH = PATH;
    }
    await pipe.prove('local');
  });

  test('the real data: a database without its log, and with the log of another time', {
    skip: NO_FIXTURES,
  }, async () => {
    const root = fixtureSite('hot');
    const alone = readFileSync(database(root));
    const log = readFileSync(`${database(fixtureSite('young'))}-wal`);
    const { pipe } = await stored('videocms', root, { online: true });
    await eachIsNamed(pipe, [
      [['without its log', (t) => writeFileSync(database(t), alone), /"files: 3, not 4"/]],
      [['another log', (t) => writeFileSync(`${database(t)}-wal`, log), /database\.sqlite-wal/]],
    ]);
  });
});

suite('Seafile', () => {
  test('blocks, fs objects, commits, heads, rows, logs, the dump', async () => {
    const { root, storage, top, blocks, commits, fs } = makeSeafile(await mkdtemp(join(tmpdir(), 'holdfast-prove-')));
    const { pipe, archive } = await stored('seafile', root);
    const object = (kind: Parameters<typeof objectPath>[1], library: string, id: string) => (tree: string) =>
      objectPath(storage, kind, library, id).replace(root, tree);
    const [now, past] = [object('blocks', MAIN, blocks.now), object('blocks', MAIN, blocks.past)];
    const [secret, virtual] = [object('blocks', SECRET, blocks.secret), object('commits', VIRTUAL, commits.virtual)];
    const database = (tree: string) => join(top.replace(root, tree), 'seafile-data/seafile.db');
    const rows = (script: string) => (tree: string) => sql(database(tree), script);
    const nowhere = 'ab'.repeat(20);
    await eachIsNamed(pipe, [
      [
        ['a missing block', (t) => rmSync(now(t)), RegExp(`${MAIN}: block ${blocks.now} is missing`)],
        ['an empty one', (t) => writeFileSync(past(t), ''), RegExp(`${MAIN}: block ${blocks.past} is empty`)],
        [
          'a byte of ciphertext',
          (t) => flip(secret(t), 3),
          RegExp(`${SECRET}: block ${blocks.secret} holds other bytes`),
        ],
        ['a byte of a commit', (t) => flip(virtual(t), 80), RegExp(`${VIRTUAL}: commit ${commits.virtual}`)],
        [
          'a missing commit',
          (t) => rmSync(object('commits', MAIN, commits.first)(t)),
          RegExp(`commit ${commits.first} is missing`),
        ],
        [
          'a byte of an fs object',
          (t) => flip(object('fs', MAIN, fs.folder)(t), 20),
          RegExp(`fs object ${fs.folder} holds other bytes`),
        ],
        ['a stale log', (t) => appendFileSync(`${database(t)}-wal`, 'stale'), /seafile\.db-wal/],
      ],
      [
        [
          'a head that leads nowhere',
          rows(`UPDATE Branch SET commit_id = '${nowhere}' WHERE repo_id = '${MAIN}'`),
          RegExp(`${MAIN}: commit ${nowhere} is missing`),
        ],
        [
          'no branch',
          rows(`DELETE FROM Branch WHERE repo_id = '${VIRTUAL}'`),
          RegExp(`library ${VIRTUAL} has no branch`),
        ],
        [
          'no library',
          rows(`DELETE FROM Repo WHERE repo_id = '${SECRET}'`),
          RegExp(`branch master of ${SECRET} has no library`),
        ],
        [
          'an owner without an account',
          rows(`UPDATE RepoOwner SET owner_id = 'gone@x' WHERE repo_id = '${MAIN}'`),
          RegExp(`library ${MAIN} belongs to gone@x`),
        ],
        [
          'no origin',
          rows(`UPDATE VirtualRepo SET origin_repo = '${nowhere}'`),
          RegExp(`virtual library ${VIRTUAL} has no origin`),
        ],
      ],
      [
        [
          'a lost log: valid, and without a table',
          (t) => {
            rmSync(database(t));
            sql(database(t), 'CREATE TABLE x (y); DROP TABLE x');
          },
          /missing: (Branch|Repo)/,
        ],
      ],
    ]);
    const cut = (t: string) => truncateSync(filesIn(t, 'seafile.db.sql.*')[0]!, 500);
    await assert.rejects(pipe.proveBrought('local', cut), named(/seafile\.db\.sql\.\d{8}T/));
    flip(archive(), 3000);
    await assert.rejects(pipe.prove('local'), named(/an archive in local is damaged.*\d{8}T[\d.]+Z-/));
  });
});

suite('MediaGit', () => {
  test('objects, chunks, manifests, refs, configuration', async () => {
    const root = await mkdtemp(join(tmpdir(), 'holdfast-prove-'));
    const { files, path, grade, main, store } = await sampleRepository(join(root, '.mediagit'));
    const { pipe } = await stored('mediagit', root);
    const id = (name: string) => files[name] ?? '';
    const at = (tree: string, kind: Parameters<typeof path>[0], of: string) => path(kind, of).replace(root, tree);
    const blob = (tree: string, name: string) => at(tree, 'object', id(name));
    const git = (tree: string, name: string) => join(tree, '.mediagit', name);
    const chunk = filesIn(join(store, 'ch/un'), 'chunks__*')[0]!;
    const manifest = (tree: string) => at(tree, 'manifest', id('clip-2.mov'));
    await eachIsNamed(pipe, [
      [
        ['a bit in a raw object', (t) => flip(blob(t, 'mid.bin'), 500), RegExp(`${id('mid.bin')} .*mid.*\\.bin`)],
        [
          'an emptied brotli object',
          (t) => truncateSync(blob(t, 'page.html'), 0),
          RegExp(`${id('page.html')} .*page\\.html`),
        ],
        ['a cut zlib object', (t) => truncateSync(blob(t, 'old.txt'), 12), RegExp(`${id('old.txt')} .*old\\.txt`)],
        ['a bit in a zstd object', (t) => flip(blob(t, 'notes.txt'), 9), RegExp(`${id('notes.txt')} .*notes\\.txt`)],
        [
          'a missing manifest',
          (t) => rmSync(at(t, 'manifest', id('clip.mov'))),
          RegExp(`manifests__${id('clip.mov')}`),
        ],
        ['a cut manifest', (t) => truncateSync(manifest(t), 60), RegExp(`manifests__${id('clip-2.mov')} `)],
        ['an empty ref', (t) => writeFileSync(git(t, 'refs/tags/light'), ''), /refs\/tags\/light holds no id/],
        ['a ref that is none', (t) => writeFileSync(git(t, 'refs/tags/v1.0'), 'x\n'), /refs\/tags\/v1\.0 holds no id/],
        [
          'a ref to nowhere',
          (t) => writeFileSync(git(t, 'refs/heads/x'), `${'a'.repeat(64)}\n`),
          /refs\/heads\/x leads to/,
        ],
        ['no configuration', (t) => rmSync(git(t, 'config.toml')), /config\.toml/],
      ],
      [
        ['a bit in a commit', (t) => flip(at(t, 'object', grade), 40), RegExp(grade)],
        [
          'a commit that is gone',
          (t) => rmSync(at(t, 'object', main)),
          RegExp(`refs/heads/main leads to the unknown commit ${main}`),
        ],
        ['a bit in a delta', (t) => flip(at(t, 'delta', id('mid-2.bin')), 30), RegExp(`deltas__${id('mid-2.bin')}`)],
        ['a bit in a chunk', (t) => flip(chunk.replace(root, t), 1000), RegExp(`chunks__${chunk.slice(-64)}`)],
        ['a missing object', (t) => rmSync(blob(t, 'page.html')), RegExp(id('page.html'))],
        ['no HEAD', (t) => rmSync(git(t, 'HEAD')), /HEAD is missing/],
      ],
      [['no refs', (t) => rmSync(git(t, 'refs'), { recursive: true }), /\.mediagit\/refs\/heads\/main/]],
      [['no objects', (t) => rmSync(git(t, 'objects'), { recursive: true }), RegExp(`unknown commit ${main}`)]],
    ]);
  });

  test('the real sets that its own fsck calls perfect', { skip: NO_MEDIAGIT_FIXTURES }, async () => {
    const sets = await mkdtemp(join(tmpdir(), 'holdfast-prove-'));
    await unpackSet('project-ok', join(sets, 'ok'));
    const { pipe } = await stored('mediagit', join(sets, 'ok'));
    const becomes = async (set: string) => {
      const git = await unpackSet(set, join(sets, set));
      return (tree: string) => {
        for (const part of ['objects', 'refs']) {
          rmSync(join(tree, '.mediagit', part), { recursive: true });
          cpSync(join(git, part), join(tree, '.mediagit', part), { recursive: true });
        }
      };
    };
    await eachIsNamed(pipe, [
      [
        ['a bit in an object', await becomes('project-corrupt'), /d6aae7e6\w+ \(refs\/heads\/\w+: mid-100k\.bin\)/],
        ['a bit in a chunk', () => {}, /chunks__329e0a85\w+ \(refs\/heads\/\w+: clip-20m\.mov\)/],
        ['a missing object', () => {}, /8aaab838\w+ \(refs\/heads\/\w+: shots\/a\.bin\)/],
      ],
      [
        [
          'PERFECT by its fsck',
          await becomes('project-silent'),
          /chunks__329e0a85\w+ \(refs\/heads\/\w+: clip-20m\.mov\)/,
        ],
        ['a tag to nowhere', () => {}, /refs\/tags\/light leads to the unknown commit a{64}/],
      ],
    ]);
  });
});
