import { randomUUID } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { WorkflowHandle } from '@temporalio/client';
import { situation } from '../../src/client/follow.js';
import type { AppLab } from '../support/app-lab.js';
import { eventually } from '../support/toy.js';
import { type Machine, recover, strike } from './blows.js';
import type { Blow } from './cases.js';
import { phase, toolsOf } from './moments.js';

/** One matrix at work: a lab with one application, and the states that its snapshots hold. */
export interface AppArena extends AppLab, Machine {
  generation: number;
  /** When the application was up after the last blow, by performance.now(). */
  struckAt: number;
  /** Capture → its state in full. */
  states: Map<string, string[]>;
  end: () => Promise<void>;
}

/** Strikes; resolves once the blow has landed. */
export async function strikeApp(arena: AppArena, blow: Blow, handle: WorkflowHandle): Promise<void> {
  if (blow === 'tool') return killTool(arena, handle);
  // Before its first task there is nothing to reset to.
  if (blow === 'reset')
    await eventually('its first task is done', 30_000, async () =>
      (await handle.fetchHistory()).events?.some((event) => event.workflowTaskCompletedEventAttributes),
    );
  if (blow !== 'reboot') return strike(arena, blow, handle);
  await strike(arena, 'both', handle);
  await arena.app.kill();
  await killAll(arena);
}

/** What a supervisor and the application's own init system do next. */
export async function recoverApp(arena: AppArena, blow: Blow, wasUp: boolean): Promise<void> {
  if (blow !== 'reboot') return recover(arena, blow);
  arena.boot = { ...arena.boot, HOLDFAST_BOOT_ID: randomUUID() };
  // An application that was up is its own init system's; one that we stopped is ours.
  if (wasUp && !['stopped', 'revoked'].includes(phase(arena.lab))) await arena.app.start();
  await recover(arena, 'both');
}

/** The innermost programs of the worker; a run that runs none until its end has none to lose. */
async function killTool({ lab }: AppArena, handle: WorkflowHandle): Promise<void> {
  let over = false;
  const poll = (async () => {
    while (!over) over ||= (await situation(lab.client, handle)).status !== 'RUNNING';
  })();
  await eventually('a tool runs', 30_000, () => {
    for (const pid of toolsOf(lab.worker()?.pid ?? 0)) {
      try {
        process.kill(pid, 'SIGKILL');
        over = true;
      } catch {} // It was quicker.
    }
    return over;
  }).catch(() => {});
  over = true;
  await poll;
}

/** Everything of this machine, but its Temporal server, which is another one. */
async function killAll({ lab }: AppArena): Promise<void> {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const pid = Number(name);
    if (pid === process.pid) continue;
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      if (command.includes('start-dev')) continue;
      if (`${command} ${readFileSync(`/proc/${name}/environ`, 'utf8')}`.includes(lab.dir)) process.kill(pid, 'SIGKILL');
    } catch {} // It ended meanwhile.
  }
}
