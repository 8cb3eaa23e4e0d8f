import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { restoreText } from '../../../src/core/restore-text.js';
import { manifestOf, temp } from '../../conformance/engine-fixture.js';

test('RESTORE.md: its lines, run by sh, put databases and files where they belong', async () => {
  const dir = await temp('restore-text');
  const root = join(dir, "it's a site");
  const staging = '/state/staging/cms/current';
  const { uid, gid } = await stat(dir);
  const manifest = manifestOf(staging, {
    root,
    uncovered: ['cache'],
    databases: [
      {
        ...{
          name: 'main',
          kind: 'sqlite',
          format: 'file',
          file: 'databases/main.sqlite',
          path: join(root, 'main.sqlite'),
        },
        ...{ bytes: 4, sha256: 'x', fingerprint: { tables: { a: 2, b: 3 }, schemaSha256: 'x', userVersion: 1 } },
        ...{ mode: 0o100640, uid, gid },
      },
    ],
    fileSets: [
      { name: 'conf', root: join(root, 'conf'), where: 'staged', files: 1, bytes: 1, list: 'l', listSha256: 'x' },
      { name: 'media', root: join(root, 'media'), where: 'inPlace', files: 1, bytes: 1, list: 'l', listSha256: 'x' },
    ],
  });
  const put = async (path: string, text: string) => {
    await mkdir(join(path, '..'), { recursive: true });
    await writeFile(path, text);
  };
  const text = restoreText(manifest, [
    {
      repository: { name: 'nas', engine: 'restic', location: '/mnt/nas' },
      commands: ['mkdir -p ./restored', ': fetched'],
    },
  ]);
  assert.match(text, /5 rows/);
  assert.match(text, /Not in this backup: cache/);
  const restored = join(dir, 'restored');
  await put(join(restored, staging, 'databases/main.sqlite'), 'new!');
  await put(join(restored, staging, 'files/conf/.env'), 'staged');
  await put(join(restored, root, 'media/clip'), 'in place');
  await put(join(root, 'main.sqlite'), 'old');
  await put(join(root, 'main.sqlite-wal'), 'a stale log');
  const lines = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, body]) => body).join('\n');
  // Onto what is left, then where nothing is left.
  execFileSync('sh', ['-eu', '-c', lines], { cwd: dir });
  assert.equal(await readFile(join(root, 'main.sqlite'), 'utf8'), 'new!');
  await rename(root, join(dir, 'aside'));
  execFileSync('sh', ['-eu', '-c', lines], { cwd: dir });
  assert.deepEqual((await readdir(root)).sort(), ['conf', 'main.sqlite', 'media']);
  assert.equal(await readFile(join(root, 'main.sqlite'), 'utf8'), 'new!');
  assert.equal((await stat(join(root, 'main.sqlite'))).mode & 0o777, 0o640);
  assert.equal(await readFile(join(root, 'conf/.env'), 'utf8'), 'staged');
  assert.equal(await readFile(join(root, 'media/clip'), 'utf8'), 'in place');
});
