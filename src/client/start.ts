import { type Client, isGrpcServiceError, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import type { SearchAttributePair } from '@temporalio/common';
import type { z } from 'zod';
import { failure } from '../core/failures.js';
import { inputMistakes } from '../core/input-mistakes.js';
import {
  BackupInput,
  GuardedChangeInput,
  PruneInput,
  RepairInput,
  RestoreInput,
  RestoreTestInput,
  VerifyInput,
} from '../core/inputs.js';
import { parseAddress, TASK_QUEUE, type WorkflowName, workflowId } from '../core/names.js';
import type { Report } from '../core/report.js';
import { requireWorker } from './pollers.js';
import { searchAttributes } from './search-attributes.js';
import { summaries } from './summaries.js';

/** A run of ours, typed for `client.workflow`. */
export type RunType = (input: unknown) => Promise<Report>;
export type RunHandle = WorkflowHandleWithFirstExecutionRunId<RunType>;

export interface StartOptions {
  /** Default: `<workflow>-<site>[@host]-<UTC time>`. */
  workflowId?: string;
  /** Start although no worker polls (the run waits for one). Default false: NoWorker is thrown. */
  withoutWorker?: boolean;
}

/** Starts a backup. Throws InvalidInput with every mistake, NoWorker, or the connection's own error. */
export const startBackup = (client: Client, input: z.input<typeof BackupInput>, options?: StartOptions) =>
  start(client, 'backup', BackupInput, input, options);
/** Starts a restore; in place where no `target` is named. */
export const startRestore = (client: Client, input: z.input<typeof RestoreInput>, options?: StartOptions) =>
  start(client, 'restore', RestoreInput, input, options);
/** Starts a restore test: the proof of one repository. */
export const startRestoreTest = (client: Client, input: z.input<typeof RestoreTestInput>, options?: StartOptions) =>
  start(client, 'restoreTest', RestoreTestInput, input, options);
export const startVerify = (client: Client, input: z.input<typeof VerifyInput>, options?: StartOptions) =>
  start(client, 'verify', VerifyInput, input, options);
export const startPrune = (client: Client, input: z.input<typeof PruneInput>, options?: StartOptions) =>
  start(client, 'prune', PruneInput, input, options);

/** Starts a guarded change: an operation that the site's config names. */
export const startGuardedChange = (client: Client, input: z.input<typeof GuardedChangeInput>, options?: StartOptions) =>
  start(client, 'guardedChange', GuardedChangeInput, input, options);

/** Starts a repair: single missing or damaged pieces of a live site come back from a snapshot. */
export const startRepair = (client: Client, input: z.input<typeof RepairInput>, options?: StartOptions) =>
  start(client, 'repair', RepairInput, input, options);

async function start<S extends z.ZodType<{ site: string; to?: string | undefined }>>(
  client: Client,
  workflow: Exclude<WorkflowName, 'watch'>,
  schema: S,
  raw: unknown,
  options: StartOptions = {},
): Promise<RunHandle> {
  const input = parse(workflow, schema, raw);
  const where = input.to ?? input.site;
  const address = parseAddress(where);
  if (!options.withoutWorker) await requireWorker(client, workflow, address.host);
  const summary = summaries[workflow] as (input: unknown) => string;
  const begin = (attributes?: SearchAttributePair[]) =>
    client.workflow.start<RunType>(workflow, {
      taskQueue: TASK_QUEUE,
      workflowId: options.workflowId ?? workflowId(workflow, address, new Date()),
      args: [input],
      staticSummary: summary(input),
      memo: { site: where },
      ...(attributes ? { typedSearchAttributes: attributes } : {}),
    });
  const attributes = await searchAttributes(client, workflow, where);
  try {
    return await begin(attributes);
  } catch (error) {
    // A server that has only just registered them may still refuse them: its cache lags behind.
    if (attributes && isGrpcServiceError(error) && /search attribute/i.test(error.message)) return begin();
    throw error;
  }
}

/** The schema's output; InvalidInput that lists every mistake otherwise. */
function parse<S extends z.ZodType>(workflow: string, schema: S, raw: unknown): z.infer<S> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const mistakes = inputMistakes(schema, raw);
  throw failure('InvalidInput', {
    step: workflow,
    host: 'this machine',
    what: mistakes.length === 1 ? `a mistake in the input` : `${mistakes.length} mistakes in the input`,
    details: { mistakes },
  });
}
