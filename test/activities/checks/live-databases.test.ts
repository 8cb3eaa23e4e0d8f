import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { findLiveDatabases } from '../../../activities/checks/live-databases.js';
import { isFailure } from '../../../src/core/failures.js';
import { FileSetSpec } from '../../../src/core/plan.js';
import { testContext } from '../../support/context.js';
import { temporary } from '../../support/videocms-site.js';

const set = (root: string, more = {}) => FileSetSpec.parse({ name: 'data', root, change: 'mutable', ...more });
const refused = async (root: string, kind: string, more = {}) =>
  assert.rejects(
    findLiveDatabases([set(root, more)], await testContext()),
    (error) => isFailure(error, 'LiveDatabaseInFiles') && error.message.includes(kind),
  );

describe('live databases among plain files', () => {
  it('a database with a log is refused, and can be excluded', async () => {
    const root = temporary();
    mkdirSync(join(root, 'a'));
    execFileSync('sqlite3', [join(root, 'a/x.db')], {
      input: '.dbconfig no_ckpt_on_close on\nPRAGMA journal_mode=WAL; CREATE TABLE t(a);',
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    await refused(root, 'a/x.db');
    await findLiveDatabases([set(root, { exclude: ['a'] })], await testContext());
  });

  it('a closed database and a file that only has such a name are ordinary files', async () => {
    const root = temporary();
    execFileSync('sqlite3', [join(root, 'closed.sqlite'), 'CREATE TABLE t(a);']);
    writeFileSync(join(root, 'text.db'), 'no database at all');
    await findLiveDatabases([set(root)], await testContext());
  });

  it('files of MySQL, PostgreSQL and bolt are refused', async () => {
    const [mysql, postgres, bolt] = [temporary(), temporary(), temporary()];
    writeFileSync(join(mysql, 'ibdata1'), 'x');
    writeFileSync(join(postgres, 'PG_VERSION'), '15\n');
    mkdirSync(join(postgres, 'base'));
    const page = Buffer.alloc(64);
    page.writeUInt32LE(0xed0cdaed, 16);
    writeFileSync(join(bolt, 'varasto.db'), page);
    await refused(mysql, 'MySQL');
    await refused(postgres, 'PostgreSQL');
    await refused(bolt, 'bolt');
  });

  it('embedded databases in the accounts of others are said and taken, those of servers refused, also where files live', async () => {
    const root = temporary();
    for (const account of ['site1', 'site2']) mkdirSync(join(root, account, 'shadow'), { recursive: true });
    execFileSync('sqlite3', [join(root, 'site1/shadow/shop.sqlite')], {
      input: '.dbconfig no_ckpt_on_close on\nPRAGMA journal_mode=WAL; CREATE TABLE t(a);',
      stdio: ['pipe', 'ignore', 'inherit'],
    });
    const live = { change: 'live', include: ['site+([0-9])/shadow'] };
    await refused(root, 'shop.sqlite', live);
    const ctx = await testContext();
    await findLiveDatabases([set(root, { ...live, parts: true })], ctx);
    assert.match(ctx.notes.join(), /data: 2 embedded databases are copied as they lie.*shop.sqlite/);
    writeFileSync(join(root, 'site2/shadow/ibdata1'), 'x');
    await refused(root, 'MySQL', { ...live, parts: true });
  });
});
