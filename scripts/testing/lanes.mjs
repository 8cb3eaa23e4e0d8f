import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from '../setup.mjs';

/**
 * Where a test file runs, by its directory. `serial`: has a Temporal server or measures time, so one at a time, with
 * TEMPORAL_ADDRESS of the run's dev server. `isolated`: has the time-skipping server, which listens on all interfaces,
 * so in a network namespace of its own. `waiting`: sits through a deadline and needs hardly any processor, so beside the
 * isolated ones. `parallel`: all the rest, two at a time.
 */
const SERIAL = ['integration', 'crash', 'replay', 'worker', 'examples'];
const ISOLATED = ['workflows'];
const WAITING = ['test/crash/freeze.test.ts'];

export function laneOf(file) {
  if (WAITING.includes(file)) return 'waiting';
  const [, directory] = file.split('/');
  if (SERIAL.includes(directory)) return 'serial';
  return ISOLATED.includes(directory) ? 'isolated' : 'parallel';
}

/** Test files of the checkout, relative to it, those of `only` where it is given (part of the path). */
export function testFiles(only) {
  return readdirSync(join(ROOT, 'test'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
    .filter((file) => only === undefined || file.includes(only))
    .sort();
}

/** Argv prefix that runs a program with nothing but a loopback network; undefined where this user may not. */
export function loopbackOnly() {
  const prefix = ['unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$@"', 'sh'];
  const [program, ...args] = [...prefix, 'true'];
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0 ? prefix : undefined;
}
