import { readFileSync, readlinkSync } from 'node:fs';
import type { ProcessMark } from './api.js';

/** Id of this boot; `HOLDFAST_BOOT_ID` stands in for it in tests. */
export function bootId(): string {
  return process.env.HOLDFAST_BOOT_ID ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Milliseconds since boot: runs on through a change of the wall clock, and through suspend. */
export function bootClock(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 1000;
}

interface Stat {
  state: string;
  group: number;
  startTime: string;
}

/** What /proc says of a process; undefined where there is none. The name may hold spaces and brackets: fields count from its last one. */
export function stat(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', group: Number(fields[2]), startTime: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

/** Mark of a process that runs now: a later one with the same pid has another. */
export function markOf(pid: number): ProcessMark | undefined {
  const found = stat(pid);
  return found && { pid, startTime: found.startTime, bootId: bootId(), pidNamespace: pidNamespace() };
}

export function ownMark(): ProcessMark {
  const mark = markOf(process.pid);
  if (!mark) throw new Error('/proc does not show this process');
  return mark;
}

/** `unknown`: it lives in another PID namespace, where its pid means nothing to us. A zombie is dead. */
export function liveness(mark: ProcessMark): 'alive' | 'dead' | 'unknown' {
  if (mark.bootId !== bootId()) return 'dead';
  if (mark.pidNamespace !== pidNamespace()) return 'unknown';
  const found = stat(mark.pid);
  return found && found.startTime === mark.startTime && !'ZX'.includes(found.state) ? 'alive' : 'dead';
}

let namespace: string | undefined;
export function pidNamespace(): string {
  namespace ??= readlinkSync('/proc/self/ns/pid');
  return namespace;
}
