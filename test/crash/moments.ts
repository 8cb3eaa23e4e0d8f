import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { situation } from '../../src/client/follow.js';
import type { Lab } from '../support/lab.js';
import type { Case } from './cases.js';

/** How long a clean run takes; a random moment lies within it. */
const RUN_MS = 5_000;
const WAIT_MS = 60_000;

/**
 * Waits for the moment of a case; resolves with the step that was seen last, or undefined where the run had ended. The
 * record and the step's own log show a step sooner than the server does.
 */
export async function moment(
  lab: Lab,
  handle: WorkflowHandle,
  { moment: wanted, offset }: Case,
): Promise<string | undefined> {
  if (wanted === 'random') {
    await sleep(offset * RUN_MS);
    const { pending, status } = await situation(lab.client, handle);
    return status === 'RUNNING' ? (pending[0]?.name ?? 'between steps') : undefined;
  }
  let ended = false;
  let seen = false;
  const poll = (async () => {
    while (!ended && !seen) {
      const { status, pending } = await situation(lab.client, handle);
      if (pending.some(({ name, waiting }) => name === wanted && !waiting)) seen = true;
      if (status !== 'RUNNING') ended = true;
      await sleep(20);
    }
  })();
  const log = join(lab.state, 'logs', handle.workflowId);
  const until = performance.now() + WAIT_MS;
  while (!seen && !ended && performance.now() < until) {
    if (wanted === 'stop' ? phase(lab) === 'stopped' : existsSync(join(log, `${wanted}.log`))) seen = true;
    await sleep(4);
  }
  if (seen) await sleep(offset * 40);
  ended = true;
  await poll;
  return seen ? wanted : undefined;
}

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
