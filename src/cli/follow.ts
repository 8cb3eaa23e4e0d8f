import type { Client, WorkflowHandle } from '@temporalio/client';
import { reportOf, type Situation, situation } from '../client/follow.js';
import type { Progress, Report } from '../core/report.js';
import { askApproval, askDecision, asksPerson } from './ask-approval.js';
import { type Call, CliError } from './context.js';
import { EXIT, type ExitCode, exitOf } from './exit-codes.js';
import { isTemporalAway } from './explain-error.js';
import { eventKey, progressLine } from './progress.js';
import { renderReport } from './render-report.js';

const POLL_MS = 500;
const CLEAR = '\r\u001b[K';

/** Shows a run until it ends, until a person is asked for, or until Ctrl-C, which only detaches. Returns the exit code. */
export async function follow(call: Call, client: Client, handle: WorkflowHandle): Promise<ExitCode> {
  const detach = onInterrupt();
  const screen = new Screen(call);
  const ended = reportOf(handle).then(
    (report) => ({ report }),
    (error: unknown) => ({ error }),
  );
  try {
    let asked = false;
    for (;;) {
      const first = await Promise.race([ended, detach.interrupted, sleep(POLL_MS)]);
      if (first === 'interrupted') {
        screen.end();
        call.cli.writeError(`detached; the run goes on. Attach again with: holdfast attach ${handle.workflowId}\n`);
        return EXIT.detached;
      }
      if (first && 'error' in first) throw first.error;
      if (first) return await finish(call, client, handle, first.report, screen);
      const now = await situation(client, handle);
      screen.show(now);
      if (!now.progress || !asksPerson(now.progress) || asked) continue;
      screen.end();
      asked = true;
      const ask = now.progress.decide ? askDecision : askApproval;
      if (!(await ask(call, handle, now.progress))) return EXIT.waits;
    }
  } catch (error) {
    if (!isTemporalAway(error)) throw error;
    const again = `the run goes on when it does; attach again with: holdfast attach ${handle.workflowId}`;
    throw new CliError(EXIT.temporalAway, `Temporal does not answer any more; ${again}`);
  } finally {
    screen.end();
    detach.forget();
  }
}

async function finish(
  call: Call,
  client: Client,
  handle: WorkflowHandle,
  report: Report,
  screen: Screen,
): Promise<ExitCode> {
  screen.end();
  for (const line of renderReport(report)) call.say(line);
  const last = await client
    .withDeadline(Date.now() + 3000, () => handle.query<Progress>('progress'))
    .catch(() => undefined);
  const types = report.failures.map(({ type }) => type);
  const exitCode = last?.app === 'down' ? EXIT.down : exitOf(report.outcome, types);
  call.emit({ report, exitCode });
  return exitCode;
}

/** A terminal gets one line that is written over; a pipe gets a line for each event, with its time. */
class Screen {
  private last = '';
  private open = false;
  constructor(private readonly call: Call) {}

  show(now: Situation): void {
    if (this.call.json) return;
    const { cli } = this.call;
    if (cli.tty) {
      const columns = process.stdout.columns ?? 80;
      cli.write(`${CLEAR}  ${progressLine(now)}`.slice(0, columns + CLEAR.length - 1));
      this.open = true;
      return;
    }
    const key = eventKey(now);
    if (key === this.last) return;
    this.last = key;
    cli.write(`${cli.now().toISOString().slice(11, 19)}Z ${progressLine(now)}\n`);
  }

  end(): void {
    if (this.open) this.call.cli.write(CLEAR);
    this.open = false;
  }
}

/** The first Ctrl-C detaches; a second one ends the command in the usual way. */
function onInterrupt(): { interrupted: Promise<'interrupted'>; forget: () => void } {
  let tell: () => void = () => {};
  const interrupted = new Promise<'interrupted'>((resolve) => {
    tell = () => resolve('interrupted');
  });
  process.once('SIGINT', tell);
  return { interrupted, forget: () => void process.removeListener('SIGINT', tell) };
}

function sleep(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}
