import assert from 'node:assert/strict';
import { it } from 'node:test';
import { inputMistakes } from '../../../src/core/input-mistakes.js';
import { BackupInput, FleetInput, RestoreInput } from '../../../src/core/inputs.js';

const cases: [typeof BackupInput | typeof RestoreInput | typeof FleetInput, unknown, string[]][] = [
  [BackupInput, { site: 'cms' }, []],
  [BackupInput, undefined, ['there is none; it must be an object such as {"site":"cms"}']],
  [BackupInput, 'cms', ['must be an object such as {"site":"cms"}']],
  [BackupInput, ['cms'], ['must be an object such as {"site":"cms"}']],
  [BackupInput, {}, ['site: is missing']],
  [
    BackupInput,
    { site: 5, level: 'huge' },
    ['site: must be a text', 'level: must be one of full, differential, incremental'],
  ],
  [
    BackupInput,
    { site: 'cms', repositorys: ['nas'], force: true },
    [
      'repositorys: unknown key; did you mean "repositories"?',
      'force: unknown key; there is: site, repositories, level, reason',
    ],
  ],
  [BackupInput, { site: 'cms', repositories: [] }, ['repositories: must name at least 1; leave it out for all']],
  [BackupInput, { site: 'cms', repositories: 'nas' }, ['repositories: must be a list']],
  [BackupInput, { site: 'cms', reason: 'x'.repeat(201) }, ['reason: must be at most 200 characters']],
  [
    RestoreInput,
    { site: 'cms', target: '/etc' },
    ['target: must be a name of lower-case letters, digits and dashes, never a path'],
  ],
  [
    RestoreInput,
    { site: 'cms', approve: { site: 'cms', by: 'me' } },
    ['approve.snapshot: is missing', 'approve.by: unknown key; leave it out'],
  ],
  [
    FleetInput,
    { workflow: 'watch', sites: ['cms'], all: true, hosts: ['web1'], concurrency: 0, perHost: 201 },
    [
      'workflow: must be one of backup, restoreTest, verify, prune',
      'concurrency: must be at least 1',
      'perHost: must be at most 200',
      'must name sites, or say all, or an app: one of the three',
      'hosts go with all or an app; a site is named with its own host, as cms@web1',
    ],
  ],
  [FleetInput, 'cms', ['must be an object such as {"site":"cms"}']],
];

for (const [schema, input, told] of cases) {
  it(`says of ${String(JSON.stringify(input)).slice(0, 60)}: ${told.length === 0 ? 'nothing' : told[0]}`, () => {
    assert.deepEqual(inputMistakes(schema, input), told);
  });
}
