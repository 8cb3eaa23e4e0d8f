import { condition, defineUpdate, isCancellation, setHandler } from '@temporalio/workflow';
import { failure } from '../src/core/failures.js';
import { formatAddress, parseAddress } from '../src/core/names.js';
import type { Ending, Frame } from './frame.js';
import { explain, type Run } from './run.js';
import { withApplicationStopped } from './section.js';

export interface Decision {
  site: string;
  /** `keep` what the operation left, or `rollBack` to the state from before it. */
  action: 'keep' | 'rollBack';
  /** Who says so, for the history. */
  by?: string;
}

export const decideUpdate = defineUpdate<string, [Decision]>('decide');

const ACTIONS = ['keep', 'rollBack'] as const;
/** How long a change waits for a person. What it would roll back to is kept for as long. */
const PATIENCE = '7d';
const PATIENCE_TO_START_MS = 120_000;
/** Beyond those that a run has of its own: a person asked for it. */
const MORE_SECTIONS = 2;

/** Asks a person which of two states stays, and makes it so. */
export class Decisions {
  private decision: Decision | undefined;
  private asking = false;
  /** Why only a rollback can be answered. */
  private lost: string | undefined;

  constructor(private readonly site: string) {
    setHandler(
      decideUpdate,
      (decision) => {
        this.decision = decision;
        return decision.action === 'keep' ? 'what the operation left stays' : 'the state from before comes back';
      },
      {
        description: 'Answers a guarded change that asks: {"site": …, "action": "keep" or "rollBack"}',
        validator: (decision) => this.mustFit(decision),
      },
    );
  }

  /** `running`: which of the two states the application runs on now. */
  async ask(frame: Frame, operation: string, running: 'before' | 'after', why: string): Promise<Ending> {
    const { run, base } = frame;
    for (;;) {
      const { action, by } = await this.answer(frame, operation, running, why);
      const to = action === 'keep' ? 'after' : 'before';
      try {
        if (to !== running && !(await this.turn(frame, operation, to)))
          return { outcome: 'failed', said: `APPLICATION DOWN after ${operation}` };
      } catch (error) {
        // What ran before it runs again. With the end of this run the other state would go, so the person may choose again.
        if (isCancellation(error) || run.report.failures.some(({ type }) => type === 'ApplicationDown')) throw error;
        note(run, [`could not be done: ${explain('turn', base.host, error).message}`]);
        continue;
      }
      const who = by ? ` by ${by}` : '';
      note(run, [`${action === 'keep' ? 'kept' : 'rolled back'}${who}`]);
      run.report.rolledBack = to === 'before';
      if (to === 'before') return { outcome: 'failed', said: `ROLLED BACK${who}: ${why}` };
      return { outcome: 'partial', said: `PARTIAL: what ${operation} left was kept${who}, although ${why}` };
    }
  }

  /** Tells people, gives the site back, and waits. */
  private async answer(frame: Frame, operation: string, running: 'before' | 'after', why: string): Promise<Decision> {
    const { run, steps, base } = frame;
    const said = `${base.site}: ${why}`;
    const asked = await run.step('ask', () =>
      steps.ask(`Ask what is to be done: ${why}`, { ...base, operation, changeId: run.report.runId, running, said }),
    );
    note(run, [
      running === 'before' ? 'the state from before runs now' : `what ${operation} left runs now`,
      ...asked.changes.map((change) => `now → before: ${change}`),
    ]);
    this.decision = undefined;
    this.asking = true;
    this.lost = asked.lost;
    if (asked.lost !== undefined) note(run, [asked.lost]);
    const choice = asked.lost === undefined ? 'keep what it left, or roll back' : `roll back, as ${asked.lost}`;
    run.waitsFor(`a decision about ${operation}: ${choice} (${why})`);
    run.progress.decide = ACTIONS.filter((action) => action === 'rollBack' || asked.lost === undefined);
    const inTime = await condition(() => this.decision !== undefined, PATIENCE).finally(() => {
      this.asking = false;
      delete run.progress.decide;
      run.waitsFor(undefined);
    });
    if (!inTime || !this.decision)
      throw failure('NotApproved', {
        step: 'ask',
        host: base.host,
        what: `nobody decided about ${operation} within ${PATIENCE}`,
        advice: 'what runs now stays',
      });
    return this.decision;
  }

  /** Exchanges the two states in a stopped section; answers whether the application is up. */
  private async turn(frame: Frame, operation: string, to: 'before' | 'after'): Promise<boolean> {
    const { run, steps, prepared, base } = frame;
    const state = to === 'before' ? 'the state from before' : `what ${operation} left`;
    const captureId = run.report.captureId ?? '';
    const { settled } = await withApplicationStopped(
      { ...frame, rollBackAfterMs: PATIENCE_TO_START_MS, newState: state },
      async () => {
        const stop = { ...base, captureId, workflow: 'guardedChange', more: MORE_SECTIONS };
        const stopped = await run.step('stop', () =>
          steps.stop(`Stop ${prepared.services.join(', ') || 'nothing'}`, stop),
        );
        const turn = { ...base, operation, changeId: run.report.runId, epoch: stopped.epoch, to };
        await run.step('turn', () => steps.turn(`Put ${state} in place`, turn));
      },
    );
    return settled;
  }

  private mustFit(decision: Decision): void {
    const refuse = (what: string, advice: string) =>
      failure('NotApproved', { step: 'ask', host: 'holdfast', what, advice });
    if (!this.asking) throw refuse('nothing is to be decided yet', 'wait for the prompt');
    if (this.decision) throw refuse('it was decided a moment ago', 'see what comes of it');
    if (decision?.action === 'keep' && this.lost !== undefined) throw refuse(this.lost, 'answer with rollBack');
    const fits =
      typeof decision?.site === 'string' &&
      formatAddress(parseAddress(decision.site)) === formatAddress(parseAddress(this.site)) &&
      ACTIONS.includes(decision.action);
    if (!fits) throw refuse(`this run asks about ${this.site}`, 'answer with that site, and keep or rollBack');
  }
}

function note(run: Run, notes: string[]): void {
  for (const each of notes) if (!run.report.notes.includes(each)) run.report.notes.push(each);
}
