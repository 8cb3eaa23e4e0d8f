import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../setup.mjs';

/**
 * How a test file runs, by its directory. `paired`: has namespaces of its own on the run's Temporal server, and waits a lot.
 * `isolated`: has the time-skipping server, which listens on all interfaces, so in a network namespace of its own. `parallel`: needs
 * neither. Of these three kinds three files at a time, and beside them `waiting`: sits through a deadline and needs hardly any
 * processor. `serial`: measures time, or has several labs of its own, so alone when the others have ended.
 */
const LANES = {
  crash: 'serial',
  worker: 'serial',
  integration: 'paired',
  replay: 'paired',
  examples: 'paired',
  workflows: 'isolated',
  'bad-luck': 'isolated',
};
const FILES = {
  'test/crash/freeze.test.ts': 'waiting',
  'test/crash/apps.test.ts': 'paired',
  'test/integration/demo.test.ts': 'serial',
  'test/src/cli/runs.test.ts': 'paired',
};

export function laneOf(file) {
  return FILES[file] ?? LANES[file.split('/')[1]] ?? 'parallel';
}

/** Whether a test file starts the command, mostly many times. */
export function startsCommand(file) {
  return laneOf(file) !== 'parallel' || file.startsWith('test/src/cli/');
}

/** Test files of the checkout, relative to it, those of `only` where it is given (part of the path). */
export function testFiles(only) {
  return readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => only === undefined || file.includes(only))
    .sort();
}

/** Argv prefix that runs a program with nothing but a loopback network, and mounts that end with it; undefined where this user may not. */
export function loopbackOnly() {
  const prefix = ['unshare', '-n', '-m', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
  const [program, ...args] = [...prefix, 'true'];
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0 ? prefix : undefined;
}
