import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../../../src/core/failures.js';
import { createPipeline, planIn } from '../../support/pipeline.js';

test('a repository that cannot keep all of a site is given none of it, though the run began for others', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-store-'));
  try {
    const root = join(dir, 'site');
    await mkdir(join(root, 'blobs'), { recursive: true });
    await writeFile(join(root, 'blobs/one'), 'content');
    execFileSync('sqlite3', [join(root, 'app.db'), 'CREATE TABLE t (x); INSERT INTO t VALUES (1);']);
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const recipients = [publicKey.export({ type: 'pkcs1', format: 'pem' })];
    const pipe = await createPipeline(
      await planIn(dir, {
        ...{ root, app: 'generic' },
        databases: [{ kind: 'sqlite', name: 'app', path: join(root, 'app.db'), format: 'file', mode: 'stopped' }],
        fileSets: [{ name: 'blobs', root: join(root, 'blobs'), include: [], exclude: [], change: 'immutable' }],
        repositories: [{ name: 'local', engine: 'ubackup', location: join(dir, 'bucket'), recipients }],
      }),
      join(dir, 'state'),
    );
    const refused = (error: unknown) => isFailure(error, 'InvalidConfig') && /has files in place/.test(error.message);
    await assert.rejects(pipe.store(await pipe.capture(), 'local'), refused);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
