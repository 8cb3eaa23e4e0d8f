import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  atLeast,
  classify,
  expandBraces,
  LsHead,
  LsNode,
  literal,
  parseLine,
  parsePruned,
  parseVersion,
  RESTIC_CODES,
  Summary,
  wentBefore,
} from '../../../activities/tools/restic.js';

const [ID, JSON_ERROR] = ['ab'.repeat(32), '{"message_type":"exit_error","code":1,"message":'];

/** Exit code and words, as 0.14.0 and 0.19.1 have them (measured). */
const TABLE: [exitCode: number, stderr: string, type: string | undefined][] = [
  [0, 'anything', undefined],
  [
    10,
    'Fatal: repository does not exist: unable to open config file: stat r/config: no such file or directory',
    'RepositoryMissing',
  ],
  [11, 'unable to create lock in backend: repository is already locked exclusively by PID 7 on h', 'RepositoryLocked'],
  [12, 'Fatal: wrong password or no key found', 'RepositoryPassword'],
  [
    12,
    '{"message_type":"exit_error","code":12,"message":"Fatal: wrong password or no key found"}',
    'RepositoryPassword',
  ],
  [
    1,
    'Fatal: unable to open config file: stat r/config: no such file or directory\nIs there a repository at the following location?\nr',
    'RepositoryMissing',
  ],
  [1, 'Fatal: wrong password or no key found', 'RepositoryPassword'],
  [1, 'Fatal: an empty password is not a password', 'RepositoryPassword'],
  [
    1,
    'unable to create lock in backend: repository is already locked by PID 12 on h by root (UID 0, GID 0)',
    'RepositoryLocked',
  ],
  [
    1,
    'Fatal: unable to open config file: client.Head: Head "http://127.0.0.1:1/config": dial tcp 127.0.0.1:1: connect: connection refused\nIs there a repository at the following location?',
    'RepositoryUnreachable',
  ],
  [
    1,
    'subprocess ssh: ssh: connect to host h port 22: Connection timed out\nFatal: unable to open repository at sftp:h:/x: unable to start the sftp session, error: EOF',
    'RepositoryUnreachable',
  ],
  [
    1,
    'subprocess ssh: root@h: Permission denied (publickey).\nFatal: unable to start the sftp session, error: EOF',
    'RepositoryDenied',
  ],
  [
    1,
    'Fatal: unable to open config file: Stat: Access Denied.\nIs there a repository at the following location?',
    'RepositoryDenied',
  ],
  [
    1,
    'Fatal: unable to open config file: client.Head: unexpected HTTP response (401): 401 Unauthorized',
    'RepositoryDenied',
  ],
  [1, 'Fatal: unable to save snapshot: write /r/data/ab/x: no space left on device', 'DiskFull'],
  [1, 'Fatal: repository contains errors', 'RepositoryDamaged'],
  [1, 'Fatal: no matching ID found for prefix "0123"', 'SnapshotMissing'],
  [1, `${JSON_ERROR}"no matching ID found for prefix \\"0123\\""}`, 'SnapshotMissing'],
  [
    1,
    `Load(<snapshot/abababab>, 0, 0) failed: open /r/snapshots/${ID}: no such file or directory\n${JSON_ERROR}"failed to load snapshot abababab: open /r/snapshots/${ID}: no such file or directory"}`,
    'SnapshotMissing',
  ],
  [1, `${JSON_ERROR}"failed to load snapshot abababab: ciphertext verification failed"}`, 'RepositoryDamaged'],
  [1, `${JSON_ERROR}"Fatal: unable to open config file: context canceled\\nrest:http://127.0.0.1:1/"}`, undefined],
  [
    1,
    'Fatal: an empty password is not allowed by default. Pass the flag `--insecure-no-password`',
    'RepositoryPassword',
  ],
  [1, 'Fatal: something nobody has seen before', undefined],
];

for (const [exitCode, stderr, type] of TABLE)
  test(`restic ${exitCode}: ${stderr.slice(0, 60).replace(/\n/g, ' ')} → ${type}`, () =>
    assert.equal(classify(exitCode, stderr), type));

test('codes that nobody documented are no success to the runner', () => {
  for (const code of [2, 4, 13, 130, 137]) assert.ok(!RESTIC_CODES.includes(code));
});

test('versions', () => {
  assert.deepEqual(parseVersion('restic 0.14.0 compiled with go1.19.8 on linux/amd64'), [0, 14, 0]);
  assert.deepEqual(parseVersion('restic 0.19.1-dev (compiled manually)'), [0, 19, 1]);
  assert.equal(parseVersion('rustic 0.9'), undefined);
  assert.ok(atLeast([0, 14, 0], [0, 14]) && atLeast([1, 0, 0], [0, 14]) && !atLeast([0, 13, 9], [0, 14]));
});

test('JSON is read leniently: new fields, absent counts, words between', () => {
  const summary = Summary.parse(parseLine('{"message_type":"summary","snapshot_id":"ab","new_in_0_30":{"x":1}}'));
  assert.deepEqual([summary.snapshot_id, summary.data_added], ['ab', 0]);
  assert.equal(parseLine('created restic repository'), undefined);
  assert.equal(parseLine('{"broken'), undefined);
});

test('a listing is read by the type of 0.14 and by that of newer ones', () => {
  const node = { type: 'file', path: '/a', mtime: '2026-11-21T00:00:00Z' };
  for (const key of ['struct_type', 'message_type']) {
    assert.deepEqual(LsHead.parse({ [key]: 'snapshot', paths: ['/a'] }).paths, ['/a']);
    assert.equal(LsNode.parse({ [key]: 'node', ...node }).path, '/a');
  }
  assert.ok(!LsNode.safeParse(node).success && !LsHead.safeParse({ struct_type: 'node', paths: [] }).success);
});

test('a named path that went before restic began is one of a live set or it is not', () => {
  const line = '/srv/live/a b does not exist, skipping';
  assert.ok(wentBefore(line, ['/srv/live']) && !wentBefore(line, ['/srv/li']));
  assert.ok(!wentBefore('/srv/live/a cannot be accessed, skipping', ['/srv/live']));
});

test('patterns and prune figures', () => {
  assert.equal(literal('/a [1]*?\\b'), '/a \\[1\\]\\*\\?\\\\b');
  assert.deepEqual(expandBraces('/x/{a,b}/{c,d}'), ['/x/a/c', '/x/a/d', '/x/b/c', '/x/b/d']);
  assert.deepEqual(expandBraces('/x/{a}'), ['/x/{a}']);
  assert.equal(parsePruned('total prune:           4 blobs / 2.5 MiB\nremaining: 1 blobs / 1 KiB'), 2.5 * 1024 ** 2);
  assert.equal(parsePruned(''), 0);
});
