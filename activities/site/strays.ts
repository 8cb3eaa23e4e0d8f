import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Group, groupLives, readGroups, signalGroup } from '../tools/groups.js';
import type { StateDir } from './api.js';
import { bootId, liveness, pidNamespace, stat } from './marks.js';
import { groupMembers, holders } from './processes.js';

/** How long the kernel may take to end what was killed; a process in uninterruptible sleep takes longer. */
const GONE_MS = 2_000;

/**
 * Ends journalled programs that nobody waits for any more: those whose worker is dead, and those that `match` names.
 * Resolves with the labels of what was ended. Killed, not asked: whoever could have waited for their clean-up is gone.
 */
export async function endStrays(state: StateDir, match: (group: Group) => boolean = () => false): Promise<string[]> {
  const ended: string[] = [];
  for (const { file, group } of await readGroups(state)) {
    const foreign = group.bootId === bootId() && group.pidNamespace !== pidNamespace();
    if (foreign) continue;
    const stray = liveness(group.owner) === 'dead' || match(group);
    if (await endGroup(group, stray)) ended.push(group.label);
    if (stray || !lives(group)) await rm(file, { force: true });
  }
  return ended;
}

/** Ends all that still works under a site's lock: recorded groups, and every process that has the lock file open. */
export async function endSection(state: StateDir, lockFile: string): Promise<string[]> {
  const ended = await endStrays(state, (group) => group.lockFile === lockFile);
  for (const pid of holders(lockFile)) {
    kill(pid);
    ended.push(`pid ${pid}`);
  }
  await until(() => holders(lockFile).every((pid) => 'ZX'.includes(stat(pid)?.state ?? 'X')));
  return ended;
}

async function endGroup(group: Group, stray: boolean): Promise<boolean> {
  if (!stray || !lives(group)) return false;
  signalGroup(group.pid, 'SIGKILL');
  await until(() => groupMembers(group.pid).length === 0);
  return true;
}

/** Whether the group is the recorded one and has a living member; its number may belong to a later one. */
function lives(group: Group): boolean {
  if (group.bootId !== bootId() || !groupLives(group.pid)) return false;
  const leader = stat(group.pid);
  // A number is not given again while a group of that number has members: without a leader it is still ours.
  return leader === undefined || leader.startTime === group.startTime;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + GONE_MS;
  while (!done() && performance.now() < end) await sleep(5);
}
