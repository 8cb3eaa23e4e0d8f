import { defineSearchAttributeKey } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  defineQuery,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { z } from 'zod';
import { type FailureDetails, failure } from '../src/core/failures.js';
import { inputMistakes } from '../src/core/input-mistakes.js';
import { type Address, parseAddress } from '../src/core/names.js';
import type { Outcome, Progress, Report, StepFailure, StepResult } from '../src/core/report.js';
import { details } from './details.js';

const OUTCOME = defineSearchAttributeKey('HoldfastOutcome', 'KEYWORD');

export const progressQuery = defineQuery<Progress>('progress');
export const reportQuery = defineQuery<Report>('report');

/** Parses a workflow's input; anything else than what it takes ends the run at once, naming every mistake. */
export function parseInput<S extends z.ZodType>(schema: S, raw: unknown): z.infer<S> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const mistakes = inputMistakes(schema, raw);
  throw failure('InvalidInput', {
    step: 'start',
    host: 'holdfast',
    what: mistakes.length === 1 ? 'a mistake in the input' : `${mistakes.length} mistakes in the input`,
    advice: `correct ${mistakes.length === 1 ? 'it' : 'them'} and start again\n${mistakes.join('\n')}`,
    details: { mistakes },
  });
}

/** What a run knows of itself while it goes: the report in the making, and what the queries answer. */
export class Run {
  readonly address: Address;
  readonly report: Report;
  readonly progress: Progress;
  private readonly failedIn = new WeakMap<object, string>();

  constructor(workflow: string, site: string, reason?: string) {
    const info = workflowInfo();
    this.address = parseAddress(site);
    const now = new Date(Date.now()).toISOString();
    this.report = {
      said: `${workflow} of ${site} is running`,
      schemaVersion: 1,
      workflow,
      workflowId: info.workflowId,
      runId: info.firstExecutionRunId,
      site: this.address.site,
      host: this.address.host,
      outcome: 'completed',
      startedAt: now,
      repositories: [],
      steps: [],
      failures: [],
      notes: [],
      uncovered: [],
      ...(reason ? { reason } : {}),
    };
    this.progress = { step: 'prepare', app: 'unknown', since: now };
    setHandler(progressQuery, () => this.progress, {
      description: 'Step, application up or down since when, and what the run waits for',
    });
    setHandler(reportQuery, () => this.report, {
      description: 'The report so far; the final one once the run has ended',
    });
    this.show();
  }

  /** Runs one step: notes it as the current one, and keeps what it said. */
  async step<T extends StepResult>(name: string, call: () => Promise<T>): Promise<T> {
    this.progress.step = name;
    const result = await call().catch((error: unknown) => {
      if (error instanceof Error) this.failedIn.set(error, name);
      throw error;
    });
    const { said, step, host, startedAt, endedAt, tookMs, bytes, notes } = result;
    this.report.steps.push({
      said,
      step: name === step ? step : name,
      host,
      startedAt,
      endedAt,
      tookMs,
      notes,
      ...(bytes === undefined ? {} : { bytes }),
    });
    for (const note of notes) if (!this.report.notes.includes(note)) this.report.notes.push(note);
    this.show();
    return result;
  }

  /** The step that an error came out of: others have run since, above all the start. */
  stepOf(error: unknown): string {
    return (error instanceof Error && this.failedIn.get(error)) || this.progress.step;
  }

  app(state: Progress['app']): void {
    if (this.progress.app === state) return;
    this.progress.app = state;
    this.progress.since = new Date(Date.now()).toISOString();
    this.show();
  }

  /** `approve` is the snapshot that an approval has to name. */
  waitsFor(what: string | undefined, approve?: string): void {
    delete this.progress.waitsFor;
    delete this.progress.approve;
    if (what !== undefined) this.progress.waitsFor = what;
    if (approve !== undefined) this.progress.approve = approve;
    this.show();
  }

  failed(step: string, error: unknown, repository?: string, host = this.address.host): StepFailure {
    const told = { step, ...explain(step, host, error), ...(repository ? { repository } : {}) };
    this.report.failures.push(told);
    this.show();
    return told;
  }

  show(): void {
    setCurrentDetails(details(this.report, this.progress));
  }

  /** Only a run that was started with our attributes may set one: an attribute that the server does not know blocks a run for ever. */
  private tagOutcome(outcome: Outcome): void {
    const names = workflowInfo()
      .typedSearchAttributes.getAll()
      .map(({ key }) => key.name);
    if (!names.includes('HoldfastSite') || !names.includes('HoldfastWorkflow')) return;
    upsertSearchAttributes([{ key: OUTCOME, value: outcome }]);
  }

  /** Ends the run: as Completed with its report, as Failed with the first failure's line, or as Canceled. */
  end(outcome: Outcome, said: string): Report {
    this.report.outcome = outcome;
    this.report.said = said;
    this.report.endedAt = new Date(Date.now()).toISOString();
    this.progress.outcome = outcome;
    this.tagOutcome(outcome);
    this.show();
    return this.report;
  }
}

/** The result of a run whose report is final: what the workflow function returns or throws. */
export function close(report: Report): Report {
  if (report.outcome === 'cancelled') throw new CancelledFailure(report.said);
  if (report.outcome !== 'failed') return report;
  const first = report.failures.find(({ type }) => type === 'ApplicationDown') ?? report.failures[0];
  throw ApplicationFailure.create({
    message: first?.message ?? report.said,
    type: first?.type ?? 'Unexpected',
    nonRetryable: true,
    details: [report],
  });
}

/** A report names the first of them; all that a step kept are in its failure's details. */
const PLACES_TOLD = 3;
const PLACE_LENGTH = 200;

/** Type and first line of what a step failed with. */
export function explain(step: string, host: string, error: unknown): Omit<StepFailure, 'step'> {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (isCancellation(error))
    return { type: 'Cancelled', message: `${step} on ${host}: cancelled; start it again when it suits` };
  if (cause instanceof TimeoutFailure && cause.timeoutType === 'SCHEDULE_TO_START') {
    // Nothing stopped is what matters of a first step alone.
    const advice =
      step === 'part' ? { advice: 'start `holdfast worker` there; the other repositories are not affected' } : {};
    const missing = failure('NoWorker', { step, host, what: `no worker answers for host ${host}`, ...advice });
    return { type: missing.type ?? '', message: missing.message };
  }
  if (cause instanceof TimeoutFailure) {
    const late = failure('StepTimedOut', {
      step,
      host,
      what: `no result within its time limit (${cause.timeoutType})`,
    });
    return { type: late.type ?? '', message: late.message };
  }
  if (cause instanceof ApplicationFailure) {
    const { places = [] } = (cause.details?.[0] ?? {}) as FailureDetails;
    const told = places.slice(0, PLACES_TOLD).map((place) => place.slice(0, PLACE_LENGTH));
    return { type: cause.type ?? 'Unexpected', message: cause.message, ...(told.length > 0 ? { places: told } : {}) };
  }
  log.error('a step failed without a name', { step, error });
  return {
    type: 'Unexpected',
    message: `${step} on ${host}: ${cause instanceof Error ? cause.message : String(cause)}; see the worker's log`,
  };
}

export function failureType(error: unknown): string {
  return explain('', '', error).type;
}

/** Work that a cancelled run still has to do. */
export const always = <T>(fn: () => Promise<T>): Promise<T> => CancellationScope.nonCancellable(fn);
