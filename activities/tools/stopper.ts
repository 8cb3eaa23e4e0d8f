import { setTimeout as sleep } from 'node:timers/promises';
import { groupLives, signalGroup } from './groups.js';

const KILL_AFTER_MS = 10_000;
const LOOK_MS = 20;

/** Ends a process group once, for the first reason given: SIGTERM, 10 s, SIGKILL. */
export interface Stopper {
  stop(reason: unknown): void;
  stopped(): boolean;
  /** Resolves when the group was ended; at once where nobody asked for it. */
  settled(): Promise<void>;
  /** Throws the reason where there was one. */
  rethrow(): void;
}

export function createStopper(pid: number, exit: Promise<unknown>): Stopper {
  let reason: { value: unknown } | undefined;
  let ending: Promise<void> = Promise.resolve();
  const end = async (): Promise<void> => {
    signalGroup(pid, 'SIGTERM');
    // A frozen program would take neither the signal nor its end.
    signalGroup(pid, 'SIGCONT');
    // The whole group: a shell is gone at once, its child may still be taking its lock away.
    const late = performance.now() + KILL_AFTER_MS;
    while (performance.now() < late && groupLives(pid)) await sleep(LOOK_MS);
    if (groupLives(pid)) signalGroup(pid, 'SIGKILL');
    await exit;
  };
  return {
    stop(value) {
      if (reason) return;
      reason = { value };
      ending = end();
      ending.catch(() => {});
    },
    stopped: () => reason !== undefined,
    settled: () => ending,
    rethrow() {
      if (reason) throw reason.value;
    },
  };
}
