import { condition, defineUpdate, setHandler } from '@temporalio/workflow';
import type { Fetched } from '../activities/api.js';
import { formatDuration } from '../src/core/durations.js';
import { failure } from '../src/core/failures.js';
import { RestoreInput } from '../src/core/inputs.js';
import { formatAddress, parseAddress, shortId } from '../src/core/names.js';
import type { Report } from '../src/core/report.js';
import { conduct, type Ending, type Frame } from './frame.js';
import { parseInput, Run } from './run.js';
import { hopMs, withApplicationStopped } from './section.js';

export interface Approval {
  site: string;
  snapshot: string;
  /** Who says so, for the history. */
  by?: string;
}

export const approveUpdate = defineUpdate<string, [Approval]>('approve');

/** How long a fetched restore waits for a person. */
const PATIENCE = '7d';

/** How long the application may take to answer with the restored state before the state from before comes back. */
const PATIENCE_TO_START_MS = 120_000;

/** Restores a site into a new directory, or in place: fetched and checked beside it, approved, then swapped by rename. */
export async function restore(raw: unknown): Promise<Report> {
  const input = parseInput(RestoreInput, raw);
  // All of it happens where the site comes back: the host that it was on may be gone.
  const there = input.to ?? input.site;
  const run = new Run('restore', there, input.reason);
  const ask = {
    workflow: 'restore',
    holds: false,
    reads: true,
    ...(input.repository ? { repositories: [input.repository] } : {}),
    ...(input.target ? { target: input.target } : {}),
  };
  let approved: Approval | undefined;
  let fetched: Fetched | undefined;
  setHandler(
    approveUpdate,
    (approval) => {
      approved = approval;
      return `restore of ${approval.site} from ${approval.snapshot} goes ahead`;
    },
    {
      description: 'Lets a restore in place go ahead: {"site": …, "snapshot": …} as its prompt names them',
      validator: (approval) => mustMatch(approval, there, fetched),
    },
  );
  return conduct(run, ask, async (frame) => {
    const { steps, prepared, base } = frame;
    const into = input.target ? 'target' : 'beside';
    fetched = await run.step('fetch', () =>
      steps.fetch(`Fetch ${input.snapshot} and check it against its manifest`, {
        ...base,
        snapshot: input.snapshot,
        ...(input.databaseSnapshot ? { databaseSnapshot: input.databaseSnapshot } : {}),
        into,
        ...(input.repository ? { repository: input.repository } : {}),
        ...(input.target ? { target: input.target } : {}),
        ...(input.only ? { only: input.only } : {}),
        ...(input.to ? { from: parseAddress(input.site) } : {}),
      }),
    );
    run.report.captureId = fetched.snapshot.captureId;
    run.report.capturedAt = fetched.capturedAt;
    run.report.notes.push(...fetched.changes.map((change) => `now → then: ${change}`));
    if (input.target) return { outcome: 'completed', said: fetched.said };

    const counts =
      prepared.approval === 'input' &&
      input.approve !== undefined &&
      names(input.approve, there, input.snapshot, fetched);
    if (!counts) {
      const snapshot = shortId(fetched.snapshot);
      run.waitsFor(
        `approval of the restore of ${there} from ${snapshot} (captured ${fetched.capturedAt})${withDatabases(fetched)}`,
        snapshot,
      );
      const inTime = await condition(() => approved !== undefined, PATIENCE).finally(() => run.waitsFor(undefined));
      if (!inTime)
        throw failure('NotApproved', { step: 'approve', host: base.host, what: `nobody approved within ${PATIENCE}` });
      run.report.notes.push(`approved${approved?.by ? ` by ${approved.by}` : ''}`);
    }
    return swapIn(frame, fetched, input);
  });
}

async function swapIn(frame: Frame, fetched: Fetched, input: RestoreInput): Promise<Ending> {
  const { run, steps, prepared, base } = frame;
  const part = {
    snapshot: fetched.snapshot.id,
    repository: fetched.repository,
    ...(input.only ? { only: input.only } : {}),
  };
  const names = prepared.services.join(', ') || 'nothing';
  let byHand: string[] = [];
  const { settled } = await withApplicationStopped({ ...frame, rollBackAfterMs: PATIENCE_TO_START_MS }, async () => {
    const stopped = await run.step('stop', () =>
      steps.stop(`Stop ${names}`, { ...base, captureId: fetched.snapshot.captureId, workflow: 'restore' }),
    );
    const swapped = await run.step('swap', () =>
      steps.swap('Put the live state aside and the restored one in place', { ...base, ...part, epoch: stopped.epoch }),
    );
    byHand = swapped.byHand ?? [];
  });
  const up = await settled;
  const hops = hopMs(run.report.steps);
  if (hops !== undefined) run.report.hopMs = hops;
  if (!up) return { outcome: 'failed', said: 'APPLICATION DOWN after the restore' };
  const down = run.report.downtimeMs === undefined ? '' : `; down ${formatDuration(run.report.downtimeMs)}`;
  if (byHand.length > 0) {
    const left = `${byHand.join(', ')} ${byHand.length === 1 ? 'is' : 'are'} as before`;
    return {
      outcome: 'partial',
      said: `PARTIAL: ${input.to ?? input.site} is back as of ${fetched.capturedAt}, but ${left} until a person has imported the dump that the notes name${down}`,
    };
  }
  return {
    outcome: 'completed',
    said: `${input.to ?? input.site} is back as of ${fetched.capturedAt}${withDatabases(fetched)}${down}`,
  };
}

function withDatabases({ databaseSnapshot }: Fetched): string {
  return databaseSnapshot ? `, its databases as of ${databaseSnapshot.capturedAt} (${shortId(databaseSnapshot)})` : '';
}

/** Whether an approval names this site and this snapshot: by an id of it (or the start of one), or by the words of the input. */
function names(approval: Approval, site: string, asked: string, fetched: Fetched): boolean {
  const { snapshot } = approval;
  const ids = [fetched.snapshot.id, fetched.snapshot.captureId];
  return (
    formatAddress(parseAddress(approval.site)) === formatAddress(parseAddress(site)) &&
    (snapshot === asked || (snapshot.length >= 8 && ids.some((id) => id.startsWith(snapshot))))
  );
}

function mustMatch(approval: Approval, site: string, fetched: Fetched | undefined): void {
  if (!fetched)
    throw failure('NotApproved', {
      step: 'approve',
      host: 'holdfast',
      what: 'nothing is fetched yet',
      advice: 'wait for the prompt',
    });
  if (
    typeof approval?.site !== 'string' ||
    typeof approval?.snapshot !== 'string' ||
    !names(approval, site, fetched.snapshot.id, fetched)
  ) {
    throw failure('NotApproved', {
      step: 'approve',
      host: 'holdfast',
      what: `this run restores ${site} from ${shortId(fetched.snapshot)}`,
      advice: 'approve with that site and that snapshot',
    });
  }
}
