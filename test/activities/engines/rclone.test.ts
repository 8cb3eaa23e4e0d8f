import { execFileSync } from 'node:child_process';
import { open } from 'node:fs/promises';
import { rcloneEngine } from '../../../activities/engines/rclone.js';
import { findProgram } from '../../../activities/tools/programs.js';
import { RepositorySpec } from '../../../src/core/plan.js';
import { engineSuite } from '../../conformance/engine-suite.js';

async function flip(repo: RepositorySpec): Promise<void> {
  const find = [`${repo.location}/content`, '-type', 'f', '-size', '+0', '-print', '-quit'];
  const file = execFileSync('find', find, { encoding: 'utf8' }).trim();
  const handle = await open(file, 'r+');
  const at = Math.floor((await handle.stat()).size / 2);
  const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, at);
  await handle.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
  await handle.close();
}

engineSuite('rclone', {
  engine: rcloneEngine,
  repository: async (location) => RepositorySpec.parse({ name: 'bucket', engine: 'rclone', location }),
  flip,
  secrets: async () => [],
  skip: findProgram('rclone') ? false : 'rclone is not installed',
});
