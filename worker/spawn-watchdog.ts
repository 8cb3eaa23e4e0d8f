import { type ChildProcess, spawn } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const COMMAND = fileURLToPath(new URL(`../src/cli/main${extname(import.meta.url)}`, import.meta.url));

/** Starts `holdfast watchdog` as a process of its own, in a group of its own: what ends a worker must not end its watchdog. */
export function spawnWatchdog(stateDir: string, output: 'inherit' | 'ignore' = 'ignore'): ChildProcess {
  const args = [...process.execArgv, COMMAND, 'watchdog', '--state-dir', stateDir];
  const child = spawn(process.execPath, args, { stdio: ['ignore', output, output], detached: true });
  child.unref();
  return child;
}
