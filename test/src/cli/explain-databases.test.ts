import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databaseRow } from '../../../src/cli/explain-databases.js';
import { DatabaseSpec, ServiceSpec } from '../../../src/core/plan.js';
import { planOf } from '../../support/videocms-site.js';

const services = [ServiceSpec.parse({ kind: 'systemd', name: 'wiki', unit: 'wiki.service' })];
const plan = { ...planOf('/srv/wiki'), services };
const dump = { argv: ['./ledger', 'export'] };

test('explain says of each kind what its dump is and where it comes from', () => {
  const cases: [object, string, string][] = [
    [{ kind: 'sqlite', path: '/srv/wiki/a.db', format: 'sql' }, 'sqlite, as SQL text, while it is stopped', 'a.db'],
    [
      { kind: 'mysql', schemas: ['a', 'b'], grants: true, host: 'db', port: 3307 },
      'mysql, as SQL text with accounts, while it is stopped',
      'a, b at db:3307',
    ],
    [
      { kind: 'postgres', database: 'wiki', container: { file: '/x', service: 'db' }, mode: 'online' },
      'postgres, as a pg_dump archive with roles, while it runs',
      'wiki in container db',
    ],
    [
      { kind: 'postgres', database: 'wiki', globals: false, socket: '/run/postgresql' },
      'postgres, as a pg_dump archive, while it is stopped',
      'wiki at /run/postgresql',
    ],
    [{ kind: 'http', url: 'http://x/y', mode: 'online' }, 'http, as it exports itself, while it runs', 'http://x/y'],
    [
      { kind: 'command', dump },
      'command, as its program prints it, to be imported by hand, while it is stopped',
      './ledger export',
    ],
    [
      { kind: 'bolt', path: '/srv/wiki/b', snapshot: '/snap/b', mode: 'online' },
      'bolt, as a file on a snapshot, as after a power cut, while it runs',
      'b',
    ],
  ];
  for (const [spec, how, place] of cases)
    assert.deepEqual(databaseRow(plan, DatabaseSpec.parse({ name: 'one', ...spec })), ['database', 'one', how, place]);
});

test('where nothing is stopped, nothing is said to be taken while it is', () => {
  const spec = DatabaseSpec.parse({ name: 'one', kind: 'sqlite', path: '/srv/wiki/a.db' });
  const bare = { ...plan, services: [{ kind: 'none' as const, name: 'none', stopTimeoutMs: 0 }] };
  assert.deepEqual(databaseRow(bare, spec)[2], 'sqlite, as a file, while it runs');
});
