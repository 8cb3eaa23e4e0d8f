import { createInterface } from 'node:readline/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { formatAddress } from '../core/names.js';
import type { Progress, Report } from '../core/report.js';
import type { Call } from './context.js';
import { EXIT } from './exit-codes.js';

/** Shows what a restore in place would change and, on a terminal, asks. True where the run goes on. */
export async function askApproval(call: Call, handle: WorkflowHandle, progress: Progress): Promise<boolean> {
  const report = await handle.query<Report>('report');
  const name = formatAddress(report);
  const how = `holdfast approve ${handle.workflowId} --snapshot ${progress.approve ?? report.captureId}`;
  call.say(`${name} waits for ${progress.waitsFor}`);
  for (const note of report.notes) call.say(`  ${note}`);
  if (!call.cli.tty || call.json || !process.stdin.isTTY) {
    call.say(`approve it with: ${how}`);
    call.emit({ waitsFor: progress.waitsFor, report, approve: how, exitCode: EXIT.waits });
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(
    `Type ${name} to replace what is there now (anything else leaves it waiting): `,
  );
  terminal.close();
  if (answer.trim() !== name) {
    call.say(`it goes on waiting; approve it with: ${how}`);
    return false;
  }
  await approve(handle, report);
  return true;
}

/** Sends the approval of the snapshot that the report names. */
export async function approve(handle: WorkflowHandle, report: Report, snapshot = report.captureId): Promise<string> {
  return handle.executeUpdate<string, [{ site: string; snapshot: string; by: string }]>('approve', {
    args: [{ site: formatAddress(report), snapshot: snapshot ?? '', by: whoAsks() }],
  });
}

/** Whether the run waits for somebody to say something. */
export function asksPerson({ waitsFor, decide }: Progress): boolean {
  return decide !== undefined || waitsFor?.startsWith('approval') === true;
}

const FLAGS = { keep: '--keep', rollBack: '--roll-back' } as const;
export type Action = keyof typeof FLAGS;

/** Shows what a guarded change asks and, on a terminal, asks it. True where the run goes on. */
export async function askDecision(call: Call, handle: WorkflowHandle, progress: Progress): Promise<boolean> {
  const report = await handle.query<Report>('report');
  const how = (progress.decide ?? []).map((action) => `holdfast approve ${handle.workflowId} ${FLAGS[action]}`);
  call.say(`${formatAddress(report)} waits for ${progress.waitsFor}`);
  for (const note of report.notes) call.say(`  ${note}`);
  if (!call.cli.tty || call.json || !process.stdin.isTTY) {
    for (const line of how) call.say(`decide with: ${line}`);
    call.emit({ waitsFor: progress.waitsFor, report, decide: how, exitCode: EXIT.waits });
    return false;
  }
  const action = await readAction();
  if (!action) {
    for (const line of how) call.say(`it goes on waiting; decide with: ${line}`);
    return false;
  }
  await decide(handle, report, action);
  return true;
}

/** What a person types; undefined for anything else than the two answers. */
export async function readAction(): Promise<Action | undefined> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = (await terminal.question('Type keep or roll-back (anything else leaves it waiting): ')).trim();
  terminal.close();
  return answer === 'keep' ? 'keep' : answer === 'roll-back' ? 'rollBack' : undefined;
}

/** Sends the answer to a guarded change. */
export async function decide(handle: WorkflowHandle, report: Report, action: Action): Promise<string> {
  return handle.executeUpdate<string, [{ site: string; action: Action; by: string }]>('decide', {
    args: [{ site: formatAddress(report), action, by: whoAsks() }],
  });
}

function whoAsks(): string {
  return process.env.SUDO_USER || process.env.USER || 'somebody at the command';
}
