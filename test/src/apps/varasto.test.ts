import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VarastoOptions, varasto } from '../../../src/apps/varasto.js';

const token = { file: '/etc/holdfast/varasto.token' };
const plan = (options: Record<string, unknown>, entries: { path: string; dir: boolean }[] = []) =>
  varasto.plan({ root: '/srv/varasto', options: VarastoOptions.parse(options) }, { entries, volumes: [] });
const mistakes = (options: Record<string, unknown>) =>
  VarastoOptions.safeParse(options).error?.issues.map(({ path, message }) => `${path.join('.')} ${message}`) ?? [];

describe('the plan of varasto', () => {
  it('takes the export while Varasto runs, and its configuration', () => {
    const { databases, fileSets, leftOut } = plan({ token, ca: 'tls.crt' });
    assert.deepEqual(databases, [
      {
        ...{ kind: 'http', name: 'varasto', mode: 'online', format: 'varasto', path: '/srv/varasto/varasto.db', token },
        ...{ url: 'https://localhost/api_v2/database/export', ca: '/srv/varasto/tls.crt' },
      },
    ]);
    assert.deepEqual(
      fileSets.map(({ name, change, optional }) => [name, change, optional]),
      [['config', 'mutable', true]],
    );
    assert.match(leftOut?.join() ?? '', /replication policy/);
  });

  it('or the file: while Varasto is stopped, or from a snapshot without a stop', () => {
    const stopped = plan({ take: 'stopped', database: 'db/varasto.db' }).databases;
    const path = '/srv/varasto/db/varasto.db';
    assert.deepEqual(stopped, [{ kind: 'bolt', name: 'varasto', mode: 'stopped', format: 'file', path }]);
    const [online] = plan({ take: 'snapshot', snapshot: '/snap/varasto.db' }).databases;
    assert.deepEqual([online?.mode, online?.kind === 'bolt' && online.snapshot], ['online', '/snap/varasto.db']);
  });

  it('takes volumes only where they are named, and reports what nothing accounts for', () => {
    const entries = ['varasto.db', 'config.json', 'volumes', 'notes'].map((name) => ({
      path: `/srv/varasto/${name}`,
      dir: !name.includes('.'),
    }));
    assert.deepEqual(plan({ token }, entries).uncovered, ['volumes/', 'notes/']);
    const taken = plan({ token, volumes: ['volumes'], leaveOut: ['notes'] }, entries);
    assert.deepEqual(taken.uncovered, []);
    const [volume] = taken.fileSets;
    assert.deepEqual([volume?.root, volume?.change], ['/srv/varasto/volumes', 'immutable']);
  });

  it('says what an option lacks', () => {
    assert.match(mistakes({}).join(), /token is missing/);
    assert.match(mistakes({ take: 'snapshot' }).join(), /snapshot is missing/);
    assert.match(mistakes({ token, snapshot: '/snap' }).join(), /snapshot means nothing here/);
    assert.match(mistakes({ token, url: 'ftp://x' }).join(), /must be an http/);
  });
});
