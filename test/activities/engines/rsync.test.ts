import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { rsyncEngine } from '../../../activities/engines/rsync.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { engineSuite } from '../../conformance/engine-suite.js';

const DAY_MS = 86_400_000;

async function flip(repo: RepositorySpec): Promise<void> {
  const find = ['-type', 'f', '-path', '*/site-1/*-*/*', '-size', '+0', '-print', '-quit'];
  const file = execFileSync('find', [repo.location, ...find], { encoding: 'utf8' }).trim();
  const handle = await open(file, 'r+');
  const { mtime, atime, size } = await handle.stat();
  const at = Math.floor(size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  // As a disk does it: nothing but the content tells.
  await handle.utimes(atime, mtime);
  await handle.close();
}

engineSuite('rsync', {
  engine: rsyncEngine,
  repository: async (location) =>
    RepositorySpec.parse({ name: 'dated', engine: 'rsync', location, keep: { daily: 7 } }),
  flip,
  secrets: async () => [],
  expired: () => ({ capturedAt: new Date(Date.now() - 8 * DAY_MS).toISOString() }),
});
