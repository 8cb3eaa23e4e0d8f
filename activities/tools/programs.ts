import { accessSync, constants } from 'node:fs';
import { constants as os } from 'node:os';
import { delimiter, join, resolve } from 'node:path';

/** What every program gets; nothing else of the worker's environment reaches it. */
export function baseEnv(): Record<string, string> {
  return { PATH: searchPath(), HOME: process.env.HOME ?? '/', LANG: 'C.UTF-8', TZ: 'UTC' };
}

/** Where a program is found by its name or path; undefined where there is none that may be run. */
export function findProgram(program: string, path = searchPath(), cwd = process.cwd()): string | undefined {
  const candidates = program.includes('/')
    ? [resolve(cwd, program)]
    : path.split(delimiter).map((directory) => resolve(cwd, join(directory || '.', program)));
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** As a shell counts it: 128 + signal. */
export function exitCodeOf(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal ? os.signals[signal] : 0);
}

function searchPath(): string {
  return process.env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
}
