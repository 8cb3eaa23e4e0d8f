import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMember } from '../../../activities/tools/tar.js';

/** Lines as GNU tar 1.34 writes them. */
const LINES: [line: string, type: string, path: string, size: number, target?: string][] = [
  ['drwxr-xr-x 0/0               0 2026-11-21 12:46:18.004465769 "tmp/src/"', 'd', '/tmp/src', 0],
  ['lrwxrwxrwx 0/0               0 2026-11-21 12:46:17.996465769 "tmp/l -> m" -> "x -> y"', 'l', '/tmp/l -> m', 0],
  ['-rw-r--r--+ 0/0       5242882 2026-11-21 12:41:54.15246874  "tmp/sparse"', 'f', '/tmp/sparse', 5242882],
  ['-rwsr-xr-x* 0/0             1 2026-11-21 12:41:54 "tmp/x y/new\\nline"', 'f', '/tmp/x y/new\nline', 1],
  ['-rw-r--r-- 0/0               1 2026-11-21 12:46:18.000465769 "tmp/\\"q\\\\b\\tt"', 'f', '/tmp/"q\\b\tt', 1],
  ['-rw-r--r-- 0/0               1 2026-11-21 12:46:18 "tmp/\\303\\274n"', 'f', '/tmp/ün', 1],
  [
    'hrw-r--r-- 0/0               0 2026-11-21 12:41:54.14846874  "tmp/hard" link to "tmp/f"',
    'h',
    '/tmp/hard',
    0,
    '/tmp/f',
  ],
  ['crw-rw-rw- 0/0             1,3 2026-11-21 12:41:54 "dev/null"', 'o', '/dev/null', 0],
];

for (const [line, type, path, size, target] of LINES)
  test(`tar lists ${JSON.stringify(path)}`, () => {
    const member = parseMember(line);
    assert.deepEqual([member?.type, member?.path, member?.size, member?.target], [type, path, size, target]);
  });

test('times are UTC milliseconds; other words are no member', () => {
  assert.equal(parseMember(LINES[2]![0])?.mtimeMs, Date.parse('2026-11-21T12:41:54.152Z'));
  assert.equal(parseMember('tar: Removing leading `/'), undefined);
});
