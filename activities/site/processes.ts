import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { stat as processStat } from './marks.js';

/** Processes that this one can see. */
function pids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Open files of a process by descriptor; nothing of one that has gone or that we may not look into. */
function openFiles(pid: number): { fd: string; target: string }[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [{ fd, target: readlinkSync(`/proc/${pid}/fd/${fd}`) }];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/** Living members of a process group; a zombie does nothing any more. */
export function groupMembers(group: number): number[] {
  return pids().filter((pid) => {
    const found = processStat(pid);
    return found?.group === group && !'ZX'.includes(found.state);
  });
}

/** Every process that has this file open, by device and inode: descendants of a fenced tool too, in whatever session. */
export function holders(file: string): number[] {
  let wanted: { dev: bigint; ino: bigint };
  try {
    wanted = statSync(file, { bigint: true });
  } catch {
    return [];
  }
  const name = basename(file);
  const same = (pid: number, fd: string): boolean => {
    try {
      const found = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true });
      return found.dev === wanted.dev && found.ino === wanted.ino;
    } catch {
      return false;
    }
  };
  return pids().filter((pid) => openFiles(pid).some(({ fd, target }) => basename(target) === name && same(pid, fd)));
}

export interface Writer {
  pid: number;
  program: string;
  file: string;
}

const ACCESS_MODE = 3;

/** Processes, other than this one, that have a file at or below `paths` open for writing. Paths are real ones. */
export function writers(paths: string[]): Writer[] {
  const below = (target: string): boolean => paths.some((path) => target === path || target.startsWith(`${path}/`));
  return pids()
    .filter((pid) => pid !== process.pid)
    .flatMap((pid) => {
      const open = openFiles(pid).find(({ fd, target }) => below(target) && writes(pid, fd));
      return open ? [{ pid, program: programOf(pid), file: open.target }] : [];
    });
}

function writes(pid: number, fd: string): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8'))?.[1] ?? '0';
    return (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0;
  } catch {
    return false;
  }
}

function programOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return '?';
  }
}
