import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import type { Lab } from '../support/lab.js';
import { eventually, lives } from '../support/toy.js';
import type { Blow } from './cases.js';
import { phase, toolsOf } from './moments.js';

/** The machine of a matrix: its boot id stays for all that is started later. */
export interface Machine {
  lab: Lab;
  boot: Record<string, string>;
}

/** Twice the deadline of a stopped section. */
const AWAY_MS = 120_000;

/** Strikes; what a supervisor, an init system or a person would do next is done by `recover`. Resolves once the blow has landed. */
export async function strike({ lab }: Machine, blow: Blow, handle: WorkflowHandle): Promise<void> {
  switch (blow) {
    case 'worker':
      return killWorker(lab);
    case 'both':
      await killWatchdog(lab);
      return killWorker(lab);
    case 'reboot':
      await killWatchdog(lab);
      await killWorker(lab);
      return killSite(lab);
    case 'tool':
      return killTool(lab);
    case 'freeze':
      lab.worker()?.kill('SIGSTOP');
      return;
    case 'cancel':
      return void (await handle.cancel().catch(unlessOver));
    case 'terminate':
      return void (await handle.terminate('a test').catch(unlessOver));
    case 'reset':
      return reset(lab, handle);
    case 'server':
    case 'away':
      return lab.server?.kill();
    case 'starter':
      if (phase(lab) === 'stopped') await lab.site.start();
      return;
  }
}

export async function recover(machine: Machine, blow: Blow): Promise<void> {
  const { lab } = machine;
  if (blow === 'reboot') {
    machine.boot = { HOLDFAST_BOOT_ID: randomUUID() };
    // An application that was up is its own init system's; one that we stopped is ours.
    if (!['stopped', 'revoked'].includes(phase(lab))) await lab.site.start();
  }
  if (blow === 'both' || blow === 'reboot') await lab.startWatchdog(machine.boot);
  if (blow === 'worker' || blow === 'both' || blow === 'reboot') await lab.startWorker(machine.boot);
  if (blow === 'server' || blow === 'away') {
    if (blow === 'away') await sleep(AWAY_MS);
    await lab.server?.start();
  }
  if (blow === 'freeze') {
    await sleep(75_000);
    lab.worker()?.kill('SIGCONT');
  }
}

/** A run may end just before the blow: on a busy machine a step that it was meant for is over by then. */
function unlessOver(error: unknown): void {
  if (!(error instanceof WorkflowNotFoundError)) throw error;
}

async function killWorker(lab: Lab): Promise<void> {
  const worker = lab.worker();
  if (!worker || worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

async function killWatchdog(lab: Lab): Promise<void> {
  const pid = lab.watchdogPid();
  if (!pid) return;
  process.kill(pid, 'SIGKILL');
  await eventually('the watchdog is gone', 5_000, () => !lives(pid));
}

/** The site and its helpers, as a lost power supply would. */
async function killSite(lab: Lab): Promise<void> {
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    const pid = Number(name);
    try {
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8');
      const theirs = command.includes(lab.site.root) || command.includes(`${lab.dir}/app/`);
      if (theirs && pid !== process.pid) process.kill(pid, 'SIGKILL');
    } catch {} // It ended meanwhile.
  }
  await eventually('the site is gone', 5_000, () => !lab.site.pid());
}

async function killTool(lab: Lab): Promise<void> {
  const worker = lab.worker()?.pid ?? 0;
  let killed = false;
  await eventually('a tool runs', 20_000, () => {
    for (const pid of toolsOf(worker)) {
      try {
        process.kill(pid, 'SIGKILL');
        killed = true;
      } catch {} // It was quicker.
    }
    return killed;
  });
}

/** To the last workflow task that was done: the steps that were on their way are done again. */
async function reset(lab: Lab, handle: WorkflowHandle): Promise<void> {
  const { events } = await handle.fetchHistory();
  const last = events?.findLast((event) => event.workflowTaskCompletedEventAttributes);
  await lab.client.workflowService.resetWorkflowExecution({
    namespace: lab.client.options.namespace,
    workflowExecution: { workflowId: handle.workflowId },
    reason: 'a test',
    requestId: randomUUID(),
    workflowTaskFinishEventId: last?.eventId ?? null,
  });
}
