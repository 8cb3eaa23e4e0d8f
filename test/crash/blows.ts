import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WorkflowHandle, WorkflowNotFoundError } from '@temporalio/client';
import { openState } from '../../activities/site/state.js';
import { watchdogAlive } from '../../activities/site/watchdog-status.js';
import type { Lab } from '../support/lab.js';
import { eventually, lives } from '../support/toy.js';
import type { Blow } from './cases.js';
import { pending, phase, toolsOf } from './moments.js';

/** The machine of a matrix: its boot id stays for all that is started later. */
export interface Machine {
  lab: Lab;
  boot: Record<string, string>;
  /** The other worker of a host that has two. */
  first?: ChildProcess | undefined;
  /** When the application was stopped last, where that is later than the blow. */
  stoppedAt?: number | undefined;
}

/** Twice the deadline of a stopped section. */
const AWAY_MS = 120_000;

/** What has to be there before the run begins. */
export async function prepare(machine: Machine, blow: Blow): Promise<void> {
  machine.stoppedAt = undefined;
  if (blow !== 'second') return;
  machine.first = machine.lab.worker();
  await machine.lab.startWorker(machine.boot);
}

/** Strikes; what a supervisor, an init system or a person would do next is done by `recover`. Resolves once the blow has landed. */
export async function strike(machine: Machine, blow: Blow, handle: WorkflowHandle): Promise<void> {
  const { lab } = machine;
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
      return killTool(lab, handle);
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
    case 'lateStop':
      return stopLate(machine);
    case 'broken':
      return breakProgram(lab);
    case 'second':
      return killWorker(lab, machine.first);
    case 'namesake':
      return meetNamesake(lab);
    case 'forgotten':
      return forget(lab, handle);
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
  if (['worker', 'both', 'reboot', 'lateStop'].includes(blow)) await lab.startWorker(machine.boot);
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

async function killWorker(lab: Lab, worker = lab.worker()): Promise<void> {
  if (!worker || worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

async function killWatchdog(lab: Lab): Promise<void> {
  const pid = lab.watchdogPid();
  if (!pid) return;
  process.kill(pid, 'SIGKILL');
  await eventually('the watchdog is gone', 60_000, () => !lives(pid));
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
  await eventually('the site is gone', 60_000, () => !lab.site.pid());
}

/** The first tool that runs from here on; none where the run ends without one. */
async function killTool(lab: Lab, handle: WorkflowHandle): Promise<void> {
  const worker = lab.worker()?.pid ?? 0;
  let killed = false;
  for (let asked = performance.now(); !killed; await sleep(10)) {
    for (const pid of toolsOf(worker)) {
      try {
        process.kill(pid, 'SIGKILL');
        killed = true;
      } catch {} // It was quicker.
    }
    if (performance.now() - asked < 100) continue;
    asked = performance.now();
    if (!(await pending(handle)).running) return;
  }
}

/** The worker dies in its stopped section, and the stop that it asked for takes effect once the watchdog has started the application. */
async function stopLate(machine: Machine): Promise<void> {
  const { lab } = machine;
  await killWorker(lab);
  if (!['stopped', 'revoked'].includes(phase(lab))) return;
  await eventually('the watchdog has started the application', 60_000, () => phase(lab) !== 'stopped' && lab.site.up());
  await eventually('the section is settled', 60_000, () => phase(lab) !== 'revoked');
  machine.stoppedAt = performance.now();
  await lab.site.stop();
}

const programOf = (lab: Lab) => join(lab.dir, 'app/server.mjs');

/** The application ends right after each start from now on. */
async function breakProgram(lab: Lab): Promise<void> {
  await rename(programOf(lab), `${programOf(lab)}.whole`);
  await writeFile(programOf(lab), 'process.exit(1);\n', { mode: 0o644 });
}

export async function mendProgram(lab: Lab): Promise<void> {
  await rename(`${programOf(lab)}.whole`, programOf(lab));
}

/** A machine of the same name, which has a state directory of its own: its worker must end by itself. */
async function meetNamesake(lab: Lab): Promise<void> {
  const dir = join(lab.dir, 'namesake');
  const state = await openState(dir);
  const env = { HOLDFAST_STATE_DIR: dir };
  const ran = await lab.holdfast(['worker', '--config', lab.configPath], { env });
  assert.match(`${ran.out}${ran.err}`, /another machine works as host local already/);
  assert.notEqual(ran.code, 0);
  // That machine's own watchdog is resident there; the worker has started it before it asked the server.
  let watchdog: Awaited<ReturnType<typeof watchdogAlive>>;
  await eventually('its watchdog runs', 60_000, async () => {
    watchdog = await watchdogAlive(state);
    return watchdog;
  });
  const { pid } = watchdog as { pid: number };
  process.kill(pid, 'SIGTERM');
  await eventually('its watchdog is gone', 20_000, () => !lives(pid));
  await rm(dir, { recursive: true });
}

/** As after the retention of its namespace, only sooner. */
async function forget(lab: Lab, { workflowId }: WorkflowHandle): Promise<void> {
  await lab.client.workflowService.deleteWorkflowExecution({
    namespace: lab.client.options.namespace,
    workflowExecution: { workflowId },
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
