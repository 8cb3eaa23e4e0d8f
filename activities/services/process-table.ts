import { readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Command } from '../../src/core/plan.js';

/** A live process, told from a later one with the same pid by its start time (clock ticks since boot). */
export interface LiveProcess {
  pid: number;
  startTicks: string;
}

/** Ticks per second of /proc; a constant of the kernel's interface on every architecture that Node runs on. */
const HZ = 100;
/** `btime` has whole seconds, and a file's time lags by a tick. */
const SLACK_MS = 2_000;

/** Looks a pid up. A zombie is gone: `kill -0` still succeeds on it for seconds when nobody reaps it. */
export async function findProcess(pid: number): Promise<LiveProcess | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name stands in parentheses and may itself hold some: fields count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  if (!state || !startTicks || 'ZX'.includes(state)) return undefined;
  return { pid, startTicks };
}

/** Whether that very process still lives. */
export async function lives(process: LiveProcess): Promise<boolean> {
  return (await findProcess(process.pid))?.startTicks === process.startTicks;
}

/** What a pid file leads to: nothing, the service's process, or somebody else who got a stale file's number. */
export type Found = { process: LiveProcess; foreign: boolean } | undefined;

/**
 * Reads a pid file. A process that began after the file was written is another program which got the number of a dead
 * one, unless it shows the start command's arguments or directory: a clock set forward after boot moves its start time.
 */
export async function readPidFile(pidFile: string, start: Command): Promise<Found> {
  const text = await readFile(pidFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const pid = Number(/^\s*(\d{1,10})\s*$/m.exec(text)?.[1] ?? 0);
  const process = pid > 1 ? await findProcess(pid) : undefined;
  if (!process) return undefined;
  const written = await stat(pidFile).catch(() => undefined);
  if (!written) return undefined;
  const younger = (await startedAtMs(process)) > written.mtimeMs + SLACK_MS;
  return { process, foreign: younger && !(await resembles(pid, start)) };
}

/** When it was started, in ms on the boot clock. */
export const sinceBootMs = ({ startTicks }: LiveProcess): number => (Number(startTicks) / HZ) * 1000;

async function startedAtMs(process: LiveProcess): Promise<number> {
  const btime = /^btime (\d+)/m.exec(await readFile('/proc/stat', 'utf8'))?.[1];
  return Number(btime) * 1000 + sinceBootMs(process);
}

async function resembles(pid: number, start: Command): Promise<boolean> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '');
  if (start.cwd && start.cwd !== '/' && cwd === start.cwd) return true;
  const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0').slice(0, -1);
  // A script's interpreter stands before it, so the ends are compared.
  const tail = argv.slice(-start.argv.length);
  return (
    tail.length === start.argv.length &&
    tail.slice(1).every((argument, index) => argument === start.argv[index + 1]) &&
    basename(tail[0] ?? '') === basename(start.argv[0] ?? '')
  );
}
