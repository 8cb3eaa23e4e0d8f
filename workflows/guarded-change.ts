import { uuid4 } from '@temporalio/workflow';
import { formatDuration } from '../src/core/durations.js';
import { failure } from '../src/core/failures.js';
import { GuardedChangeInput } from '../src/core/inputs.js';
import type { Report } from '../src/core/report.js';
import { Decisions } from './decision.js';
import { conduct, type Ending, type Frame } from './frame.js';
import { failureType, parseInput, Run } from './run.js';
import { storeSafety } from './safety.js';
import { hopMs, withApplicationStopped } from './section.js';

/*
 * A risky operation with a net: check, capture, operation, check, and the state from before on failure. What must hold:
 *
 * Writes held (the default). One stopped section from the capture to the check, so nothing newer than the capture can be lost.
 * - The operation or its check fails, or the application does not answer afterwards: rolled back before the application starts.
 * - The worker dies, the run is terminated or reset, the cap is spent: the way back stands on the site record's undo list before the
 *   operation begins, so whoever recovers (the watchdog, within a second) rolls back, then starts. Nobody knows how far the operation
 *   came: it is not run again, a person is asked. First healthy start with the new state: the undo list is gone.
 * - The check cannot look: the operation ended well, so its state stays, the application comes up, and a person is asked.
 * - The section ends before the operation began: it is repeated once, with a capture of its own.
 * - The run is reset after the operation began, also once it was over: nothing is done now, so nothing is there to decide about. What was
 *   captured now may hold what the operation did then: it is never called the state from before.
 *
 * Writes open. Visitors write meanwhile, so nothing is ever taken back without a person, who sees what is newer.
 *
 * Whatever is taken away by a rollback, or by a person's decision, is kept beside the site for 7 days.
 */

/** How long the application may take to answer with what the operation left, before the state from before comes back. */
const PATIENCE_TO_START_MS = 120_000;

export async function guardedChange(raw: unknown): Promise<Report> {
  const input = parseInput(GuardedChangeInput, raw);
  const run = new Run('guardedChange', input.site, input.reason);
  run.report.operation = input.operation;
  const decisions = new Decisions(input.site);
  const ask = { workflow: 'guardedChange', holds: true, operation: input.operation };
  return conduct(run, ask, async (frame) => {
    const change = new Change(frame, input.operation, decisions);
    return frame.prepared.operation?.writes === 'open' ? change.open() : change.held();
  });
}

class Change {
  private readonly base: Frame['base'] & { operation: string; changeId: string };
  private captureId = '';
  /** The operation began before this run was reset. */
  private begunBefore = false;

  constructor(
    private readonly frame: Frame,
    private readonly operation: string,
    private readonly decisions: Decisions,
  ) {
    // The same in a run that was reset: its host knows by it that the operation began, and where the way back lies.
    this.base = { ...frame.base, operation, changeId: frame.run.report.runId };
  }

  async held(): Promise<Ending> {
    const { run } = this.frame;
    let began = false;
    let unclear: string | undefined;
    const newState = `what ${this.operation} left`;
    const mayRepeat = () => !began;
    try {
      const { settled } = await withApplicationStopped(
        { ...this.frame, rollBackAfterMs: PATIENCE_TO_START_MS, newState, mayRepeat },
        async () => {
          const epoch = await this.capture(true);
          began = true;
          await this.operate(epoch);
          unclear = await this.check('after', epoch);
        },
      );
      if (!(await settled)) return { outcome: 'failed', said: `APPLICATION DOWN after ${this.operation}` };
    } catch (error) {
      const type = failureType(error);
      if (began && !this.begunBefore) run.report.rolledBack = true;
      if (!began || type === 'Cancelled') throw error;
      run.failed('operate', error);
      if (run.report.failures.some((each) => each.type === 'ApplicationDown')) throw error;
      if (this.begunBefore) return this.notDone();
      if (CLEAR.includes(type)) return this.rolledBack(this.lastFailure());
      return this.decisions.ask(this.frame, this.operation, 'before', this.lastFailure());
    } finally {
      this.countHops();
    }
    if (unclear !== undefined) return this.decisions.ask(this.frame, this.operation, 'after', unclear);
    return this.made();
  }

  async open(): Promise<Ending> {
    const { run, prepared } = this.frame;
    await this.check('before');
    if (prepared.stops) {
      const { settled } = await withApplicationStopped(this.frame, () => this.capture(false));
      this.countHops();
      if (!(await settled)) return { outcome: 'failed', said: `APPLICATION DOWN; ${this.operation} was not begun` };
    } else {
      await this.capture(false);
    }
    let unclear: string | undefined;
    try {
      await this.operate();
      unclear = await this.check('after');
    } catch (error) {
      if (failureType(error) === 'Cancelled') {
        run.report.notes.push(`cancelled in mid-change: what ${this.operation} left runs`);
        throw error;
      }
      run.failed('operate', error);
      if (this.begunBefore) return this.notDone();
      return this.decisions.ask(this.frame, this.operation, 'after', this.lastFailure());
    }
    if (unclear !== undefined) return this.decisions.ask(this.frame, this.operation, 'after', unclear);
    return this.made();
  }

  /** Takes the state from before, and puts it beside the site. Each section takes its own: the application ran in between. */
  private async capture(held: boolean): Promise<number | undefined> {
    const { run, steps, prepared } = this.frame;
    this.captureId = uuid4();
    run.report.captureId = this.captureId;
    const capture = { ...this.base, captureId: this.captureId };
    let epoch: number | undefined;
    if (held || prepared.stops) {
      const names = prepared.services.join(', ') || 'nothing';
      const cap = held ? {} : { operation: undefined };
      const stop = { ...capture, ...cap, workflow: 'guardedChange' };
      epoch = (await run.step('stop', () => steps.stop(`Stop ${names}`, stop))).epoch;
      if (prepared.databases.length > 0) {
        const section = { ...capture, epoch };
        await run.step('checkpoint', () =>
          steps.checkpoint(`Fold logs into ${prepared.databases.join(', ')}`, section),
        );
      }
    }
    const section = { ...capture, ...(epoch === undefined ? {} : { epoch }) };
    if (held) await this.check('before', epoch);
    const captured = await run.step('dump', () => steps.dump('Take the state from before', section));
    run.report.capturedAt = captured.capturedAt;
    await run.step('shelter', () =>
      steps.shelter('Put the state from before beside the site', { ...section, undo: held }),
    );
    return epoch;
  }

  private async operate(epoch?: number): Promise<void> {
    const { run, steps } = this.frame;
    const done = await run.step('operate', () =>
      steps.operate(`Do ${this.operation}`, {
        ...this.base,
        ...(epoch === undefined ? {} : { epoch }),
      }),
    );
    if (done.verdict === 'done') return;
    const type = done.verdict === 'failed' ? 'OperationFailed' : 'OperationUnknown';
    this.begunBefore = done.before === true;
    const advice = this.begunBefore
      ? {
          advice:
            'nothing was done now; look at what runs and at what holdfast status says is kept, then start a new change',
        }
      : {};
    throw failure(type, { step: 'operate', host: this.base.host, what: done.said, ...advice });
  }

  /** Answers with why nobody could look after the operation; before it, that ends the run. */
  private async check(when: 'before' | 'after', epoch?: number): Promise<string | undefined> {
    const { run, steps } = this.frame;
    const { verdict, said } = await run.step(`check ${when}`, () =>
      steps.examine(`Check ${this.base.site} ${when} ${this.operation}`, {
        ...this.base,
        ...(epoch === undefined ? {} : { epoch }),
      }),
    );
    if (verdict === 'passed') return undefined;
    if (when === 'after' && verdict === 'unclear') return said;
    const type = verdict === 'failed' ? 'CheckFailed' : 'CheckUnclear';
    const advice = when === 'before' ? { advice: `nothing was changed; repair that first` } : {};
    throw failure(type, { step: 'check', host: this.base.host, what: `${when} ${this.operation}: ${said}`, ...advice });
  }

  private async made(): Promise<Ending> {
    await storeSafety(this.frame, this.captureId).catch((error) => {
      this.frame.run.report.notes.push(`${this.operation} is done and checked: what it left runs`);
      throw error;
    });
    return { outcome: 'completed', said: `${this.operation} of ${this.base.site} is done and checked${this.down()}` };
  }

  private rolledBack(why: string): Ending {
    const kept = `what ${this.operation} had made is kept for 7 days, where holdfast status says`;
    this.frame.run.report.notes.push(kept);
    return { outcome: 'failed', said: `ROLLED BACK: ${why}${this.down()}` };
  }

  private notDone(): Ending {
    return { outcome: 'failed', said: `NOT DONE: ${this.lastFailure()}${this.down()}` };
  }

  private down(): string {
    const { downtimeMs } = this.frame.run.report;
    return downtimeMs === undefined ? '' : `; down ${formatDuration(downtimeMs)}`;
  }

  private lastFailure(): string {
    return this.frame.run.report.failures.at(-1)?.message.split('; ')[0] ?? '';
  }

  private countHops(): void {
    const { report } = this.frame.run;
    const hops = hopMs(report.steps);
    if (hops !== undefined) report.hopMs = hops;
  }
}

/** What leaves no doubt: it did not go well. After anything else nobody knows how far the operation came. */
const CLEAR = ['OperationFailed', 'CheckFailed', 'RestoreFailed'];
