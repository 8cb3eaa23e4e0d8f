import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { Lab } from '../support/lab.js';
import type { Case } from './cases.js';

/** How long a clean run takes on a quiet machine; a random moment lies within it. */
const RUN_MS = 4_000;
const WAIT_MS = 120_000;
/** What asks the server costs it more than the blow. */
const ASK_MS = 60;

/**
 * Waits for the moment of a case; resolves with the step that was seen last, or undefined where the run had ended. The
 * record and the step's own log show a step sooner than the server does.
 */
export async function moment(
  lab: Lab,
  handle: WorkflowHandle,
  { moment: wanted, offset }: Pick<Case, 'moment' | 'offset'>,
): Promise<string | undefined> {
  if (wanted === 'random') {
    await sleep(offset * RUN_MS);
    const { running, steps } = await pending(handle);
    return running ? (steps[0] ?? 'between steps') : undefined;
  }
  const log = join(lab.state, 'logs', handle.workflowId);
  const until = performance.now() + WAIT_MS;
  for (let asked = 0; performance.now() < until; await sleep(4)) {
    if (wanted === 'stop' ? phase(lab) === 'stopped' : existsSync(join(log, `${wanted}.log`))) {
      await sleep(offset * 40);
      return wanted;
    }
    if (performance.now() - asked < ASK_MS) continue;
    asked = performance.now();
    const { running, steps } = await pending(handle);
    if (!running) return undefined;
    if (wanted !== 'stop' && steps.includes(wanted)) {
      await sleep(offset * 40);
      return wanted;
    }
  }
  return undefined;
}

/** Whether the run goes on, and the steps that are with a worker: of the server alone, which costs no worker's time. */
export async function pending(handle: WorkflowHandle): Promise<{ running: boolean; steps: string[] }> {
  const { raw, status } = await handle.describe();
  const taken = (raw.pendingActivities ?? []).filter(({ state }) => state !== SCHEDULED);
  return { running: status.name === 'RUNNING', steps: taken.map(({ activityType }) => activityType?.name ?? '') };
}

/** temporal.api.enums.v1.PendingActivityState */
const SCHEDULED = 1;

export function phase(lab: Lab): string {
  try {
    return (JSON.parse(readFileSync(join(lab.state, 'sites/cms/record.json'), 'utf8')) as { phase: string }).phase;
  } catch {
    return 'none';
  }
}

/** Wrappers of our own: what they run is the tool. */
const WRAPPERS = ['sh', 'flock', 'setpriv', 'timeout', 'node'];

/** Pids of the programs that a worker runs right now, innermost first. */
export function toolsOf(worker: number): number[] {
  const parents = new Map<number, { parent: number; name: string }>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const end = stat.lastIndexOf(')');
      const [state, parent] = stat.slice(end + 2).split(' ');
      if (state !== 'Z')
        parents.set(Number(name), { parent: Number(parent), name: stat.slice(stat.indexOf('(') + 1, end) });
    } catch {} // It ended meanwhile.
  }
  const below = (pid: number): boolean => {
    for (let at = parents.get(pid)?.parent ?? 0; at > 1; at = parents.get(at)?.parent ?? 0)
      if (at === worker) return true;
    return false;
  };
  return [...parents].filter(([pid, { name }]) => !WRAPPERS.includes(name) && below(pid)).map(([pid]) => pid);
}
