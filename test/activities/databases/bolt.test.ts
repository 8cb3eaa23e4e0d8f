import assert from 'node:assert/strict';
import { copyFile, mkdtemp, open, rm, stat, truncate, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { boltDatabase } from '../../../activities/databases/bolt.js';
import { writeBolt } from '../../../examples/varasto/bolt.mjs';
import { type FailureType, isFailure } from '../../../src/core/failures.js';
import type { DatabaseSpec } from '../../../src/core/plan.js';
import { databaseSuite } from '../../conformance/database-suite.js';
import { testContext } from '../../support/context.js';
import { holdLock, NO_VARASTO_FIXTURES, unpackFixtures } from '../../support/varasto-site.js';

type Spec = Extract<DatabaseSpec, { kind: 'bolt' }>;

const specOf = (path: string): Spec => ({ kind: 'bolt', name: 'varasto', mode: 'stopped', path, format: 'file' });
const keys = (count: number): [string, string][] =>
  Array.from({ length: count }, (_, i) => [`key ${i}`, 'value '.repeat(i % 9)]);

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holdfast-bolt-'));
});
after(() => rm(dir, { recursive: true, force: true }));

const failsAs = (type: FailureType, words: RegExp) => (error: Error) => {
  assert.ok(isFailure(error, type), `expected ${type}, got ${error}`);
  assert.match(error.message, words);
  return true;
};

databaseSuite<Spec>('bolt', {
  database: boltDatabase,
  forms: [{ format: 'file', mode: 'stopped' }],
  async make(at, rows) {
    const path = join(at, 'varasto.db');
    writeBolt(path, { notes: keys(rows), others: keys(3), none: [] });
    return { spec: specOf(path), stop: await holdLock(path) };
  },
  missing: (at) => specOf(join(at, 'nothing.db')),
  async empty(at) {
    writeBolt(join(at, 'empty.db'), {});
    return specOf(join(at, 'empty.db'));
  },
});

test('a file that is open is refused, by its lock; online only with a snapshot, which must be of now', async () => {
  const ctx = await testContext();
  const path = join(dir, 'varasto.db');
  writeBolt(path, { notes: keys(40) });
  const into = await mkdtemp(join(dir, 'x-'));
  const release = await holdLock(path);
  await assert.rejects(boltDatabase.dump(specOf(path), into, undefined, ctx), failsAs('DatabaseLocked', /in use/));
  const online: Spec = { ...specOf(path), mode: 'online' };
  await assert.rejects(boltDatabase.preflight(online, ctx), failsAs('InvalidConfig', /only while/));

  const snapshot = join(dir, 'snapshot.db');
  const spec: Spec = { ...online, snapshot };
  await boltDatabase.preflight(spec, ctx);
  await assert.rejects(boltDatabase.dump(spec, into, undefined, ctx), failsAs('DatabaseMissing', /there is no/));
  await copyFile(path, snapshot);
  const { consistency, fingerprint } = await boltDatabase.dump(spec, into, undefined, ctx);
  assert.deepEqual([consistency, fingerprint.tables], ['crash-like', { notes: 40 }]);
  const old = (Date.now() - 2 * 3600_000) / 1000;
  await utimes(snapshot, old, old);
  await assert.rejects(boltDatabase.dump(spec, into, undefined, ctx), failsAs('DatabaseMissing', /behind the live/));
  await release();
  assert.equal((await boltDatabase.dump(specOf(path), into, undefined, ctx)).consistency, 'full');
});

test('the real file: its buckets, and each kind of damage by its place', { skip: NO_VARASTO_FIXTURES }, async () => {
  const ctx = await testContext();
  const fixtures = await unpackFixtures();
  try {
    const path = join(fixtures, 'varasto.db');
    const { tables } = await boltDatabase.inspect(path, 'file', ctx);
    assert.equal(Object.keys(tables).length, 18);
    assert.deepEqual([tables.blobs, tables.collections, tables.config, tables.scheduledjobs], [7, 2, 4, 3]);
    const { size } = await stat(path);
    const damaged = async (words: RegExp, harm: (copy: string) => Promise<void>) => {
      const copy = join(fixtures, 'damaged.db');
      await copyFile(path, copy);
      await harm(copy);
      await assert.rejects(boltDatabase.inspect(copy, 'file', ctx), failsAs('DatabaseCorrupt', words));
    };
    const overwrite = (at: number) => async (copy: string) => {
      const file = await open(copy, 'r+');
      await file.write(Buffer.from([0xff, 0xfe, 0xfd, 0xfc]), 0, 4, at);
      await file.close();
    };
    await damaged(/it is cut: 8192 bytes/, (copy) => truncate(copy, 8192));
    await damaged(/it is cut/, (copy) => truncate(copy, 100));
    await damaged(/it is cut/, (copy) => truncate(copy, size / 2));
    await damaged(/meta page 0 is broken/, overwrite(16 + 30));
    await damaged(/meta page 1 is broken/, overwrite(4096 + 16 + 30));
    await damaged(/meta page 0 is broken/, async (copy) => {
      await overwrite(20)(copy);
      await overwrite(4096 + 20)(copy);
    });
    // Every page that is in use says which it is; a page of zeros, as a hole leaves it, is found wherever it lies.
    const pageSize = 4096;
    let found = 0;
    for (let page = 2; page < size / pageSize; page++) {
      const copy = join(fixtures, 'hole.db');
      await copyFile(path, copy);
      const file = await open(copy, 'r+');
      await file.write(Buffer.alloc(pageSize), 0, pageSize, page * pageSize);
      await file.close();
      if (
        await boltDatabase.inspect(copy, 'file', ctx).then(
          () => false,
          () => true,
        )
      )
        found++;
    }
    assert.ok(found >= 10, `${found} of the pages are in use`);
  } finally {
    await rm(fixtures, { recursive: true });
  }
});
