import { execFile } from 'node:child_process';
import { open, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { startRestoreTest, startVerify } from '../../src/client/start.js';
import { now } from './clock.js';
import type { Facts } from './facts.js';
import { finished } from './runs.js';
import type { Stage } from './stage.js';

const run = promisify(execFile);

/** A restore test of the newest backup, then the proof of the proof: damage that must be found. */
export async function prove(stage: Stage): Promise<Facts['proof'] & { url: string; flippedByteFound: boolean }> {
  const { client, server } = stage;
  const from = now();
  const tested = await finished(await startRestoreTest(client, { site: 'cms', full: true }), from, server);
  const checks = tested.report.proof?.checks ?? [];
  const passed = (pattern: RegExp) => checks.some(({ name, ok }) => ok && pattern.test(name));
  return {
    outcome: tested.report.proof?.outcome ?? tested.report.outcome,
    checks: checks.length,
    passed: checks.filter(({ ok }) => ok).length,
    booted: passed(/boot|api\/config|health/i),
    played: passed(/segment|play/i),
    seconds: tested.seconds,
    url: tested.url,
    flippedByteFound: await findsFlippedByte(stage),
  };
}

/** A copy of the repository with one byte flipped stands in the repository's place while `verify` reads it all. */
async function findsFlippedByte(stage: Stage): Promise<boolean> {
  const { client, server, repository } = stage;
  const whole = `${repository}.whole`;
  await run('cp', ['-a', repository, `${repository}.copy`]);
  await flipByte(`${repository}.copy`);
  await rename(repository, whole);
  await rename(`${repository}.copy`, repository);
  try {
    const { report } = await finished(await startVerify(client, { site: 'cms', depth: 'full' }), now(), server);
    const types = report.failures.map(({ type }) => type);
    return (
      report.outcome === 'failed' &&
      types.some((type) => ['RepositoryDamaged', 'VerifyFailed', 'SnapshotDiffers'].includes(type))
    );
  } finally {
    await rename(repository, `${repository}.flipped`);
    await rename(whole, repository);
  }
}

/** In the middle of the largest file: stored data, not the engine's own notes. */
async function flipByte(dir: string): Promise<void> {
  const script = 'find . -type f -printf "%s %p\\n" | sort -n | tail -n 1';
  const [size = '', ...path] = (await run('sh', ['-euc', script], { cwd: dir })).stdout.trim().split(' ');
  const file = `${dir}/${path.join(' ')}`;
  // restic keeps its packs read-only.
  await run('chmod', ['u+w', file]);
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  const at = Math.floor(Number(size) / 2);
  await handle.read(byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}
