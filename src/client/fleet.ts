import { type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure, TerminatedFailure } from '@temporalio/common';
import type { z } from 'zod';
import { failure } from '../core/failures.js';
import type { FleetReport } from '../core/fleet.js';
import { inputMistakes } from '../core/input-mistakes.js';
import { FleetInput } from '../core/inputs.js';
import { DEFAULT_HOST, fleetId, parseAddress, TASK_QUEUE } from '../core/names.js';
import { requireWorker } from './pollers.js';

type FleetType = (input: unknown) => Promise<FleetReport>;

/** Starts the same job for many sites. Throws InvalidInput with every mistake, NoWorker, or the connection's own error. */
export async function startFleet(client: Client, raw: z.input<typeof FleetInput>): Promise<WorkflowHandle<FleetType>> {
  const parsed = FleetInput.safeParse(raw);
  if (!parsed.success)
    throw failure('InvalidInput', {
      step: 'fleet',
      host: 'this machine',
      what: 'mistakes in the input',
      details: { mistakes: inputMistakes(FleetInput, raw) },
    });
  const { workflow, sites, hosts, reason } = parsed.data;
  // One of them is enough: a host without a worker fails its own sites, not the others.
  await requireWorker(client, 'fleet', sites?.[0] ? parseAddress(sites[0]).host : (hosts?.[0] ?? DEFAULT_HOST));
  return client.workflow.start<FleetType>('fleet', {
    taskQueue: TASK_QUEUE,
    workflowId: fleetId(workflow, new Date()),
    args: [parsed.data],
    staticSummary: `${workflow} of ${sites ? `${sites.length} sites` : 'many sites'}${reason ? ` · ${reason}` : ''}`,
  });
}

/** Waits for a fleet's end and returns its report, however it ended. */
export async function fleetReportOf(handle: WorkflowHandle): Promise<FleetReport> {
  try {
    return (await handle.result()) as FleetReport;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof CancelledFailure || cause instanceof TerminatedFailure)
      return { ...(await handle.query<FleetReport>('report')), outcome: 'cancelled' };
    const report = cause instanceof ApplicationFailure ? (cause.details?.[0] as FleetReport | undefined) : undefined;
    if (report?.workflow === 'fleet') return report;
    throw cause ?? error;
  }
}
