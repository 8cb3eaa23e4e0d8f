import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
// A killed demo must leave neither worker nor watchdog behind.
const CLI = [
  'setpriv',
  '--pdeathsig',
  'TERM',
  '--',
  process.execPath,
  '--import',
  'tsx',
  join(ROOT, 'src/cli/main.ts'),
];

/** Starts `holdfast <args>` as a process of its own, its output in a log of the demo's directory. */
export function startHoldfast(dir: string, env: Record<string, string>, log: string, args: string[]): ChildProcess {
  const [program = '', ...prefix] = CLI;
  const child = spawn(program, [...prefix, ...args], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Ctrl-C in the terminal ends the demo, and the demo ends these, in order.
    detached: true,
  });
  const file = createWriteStream(join(dir, log), { flags: 'a' });
  child.stdout?.pipe(file, { end: false });
  child.stderr?.pipe(file, { end: false });
  return child;
}

/** SIGTERM, and SIGKILL to one that does not end within 10 s. */
export async function end(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await closed;
  clearTimeout(timer);
}

/** The last lines of each log in the demo's directory: why something did not start. */
export async function lastWords(dir: string): Promise<string[]> {
  const logs = (await readdir(dir)).filter((name) => name.endsWith('.log'));
  const tails = logs.map(async (log) => {
    const lines = (await readFile(join(dir, log), 'utf8')).trim().split('\n').slice(-5);
    return lines.map((line) => `${log}: ${line}`);
  });
  return (await Promise.all(tails)).flat();
}
