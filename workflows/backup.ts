import { uuid4 } from '@temporalio/workflow';
import { formatDuration } from '../src/core/durations.js';
import { BackupInput } from '../src/core/inputs.js';
import { shortId } from '../src/core/names.js';
import type { Report, RepositoryReport } from '../src/core/report.js';
import { placeOf } from './elsewhere.js';
import { conduct, type Ending, type Frame } from './frame.js';
import { parseInput, Run } from './run.js';
import { hopMs, withApplicationStopped } from './section.js';

/** Backs up one site: stop, checkpoint, dump, start, then store, verify and prune in every repository, side by side. */
export async function backup(raw: unknown): Promise<Report> {
  const input = parseInput(BackupInput, raw);
  const run = new Run('backup', input.site, input.reason);
  const ask = {
    workflow: 'backup',
    holds: true,
    ...(input.repositories ? { repositories: input.repositories } : {}),
    ...(input.level ? { level: input.level } : {}),
  };
  return conduct(run, ask, (frame) => backupBody(frame));
}

async function backupBody(frame: Frame): Promise<Ending> {
  const { run, steps, prepared, base } = frame;
  const captureId = uuid4();
  const capture = { ...base, captureId };
  run.report.captureId = captureId;
  run.report.repositories = prepared.repositories.map(({ name, engine, offsite }) => ({
    repository: name,
    engine,
    offsite,
  }));

  if (prepared.warm) await run.step('warm', () => steps.warm('Copy what changes, while the application runs', capture));
  let up: Promise<boolean> = Promise.resolve(true);
  if (prepared.stops) {
    const { settled } = await withApplicationStopped(frame, () => takeCapture(frame, capture));
    up = settled;
    const hops = hopMs(run.report.steps);
    if (hops !== undefined) run.report.hopMs = hops;
  } else {
    await dump(frame, capture);
  }
  let sealing: Promise<unknown> | undefined;
  const sealed = () => {
    sealing ??= run.step('seal', () => steps.seal('List what another machine is to pull', capture));
    return sealing;
  };
  // All of them end, and the application is settled, before a cancellation goes on: `finish` clears what they read.
  const ended = await Promise.allSettled(run.report.repositories.map((entry) => keep(frame, capture, entry, sealed)));
  const isUp = await up;
  for (const end of ended) if (end.status === 'rejected') throw end.reason;
  await pushed(frame);
  return conclude(run, run.report.repositories, isUp);
}

async function takeCapture(frame: Frame, capture: Frame['base'] & { captureId: string }): Promise<void> {
  const { run, steps, prepared } = frame;
  const names = prepared.services.join(', ');
  const stopped = await run.step('stop', () => steps.stop(`Stop ${names}`, { ...capture, workflow: 'backup' }));
  if (prepared.databases.length > 0) {
    await run.step('checkpoint', () =>
      steps.checkpoint(`Fold the WAL into ${prepared.databases.join(', ')}`, { ...capture, epoch: stopped.epoch }),
    );
  }
  await dump(frame, capture, stopped.epoch);
}

async function dump(frame: Frame, capture: Frame['base'] & { captureId: string }, epoch?: number): Promise<void> {
  const { run, steps, prepared } = frame;
  const what = prepared.databases.length > 0 ? `Copy ${prepared.databases.join(', ')}` : 'Take the capture';
  const captured = await run.step('dump', () =>
    steps.dump(what, { ...capture, ...(epoch === undefined ? {} : { epoch }) }),
  );
  run.report.capturedAt = captured.capturedAt;
}

/** Stores, verifies and prunes in one repository; what fails here leaves the other repositories alone. */
async function keep(
  frame: Frame,
  capture: Frame['base'] & { captureId: string },
  entry: RepositoryReport,
  sealed: () => Promise<unknown>,
): Promise<RepositoryReport> {
  const { run, prepared } = frame;
  const repository = entry.repository;
  const asked = prepared.repositories.find(({ name }) => name === repository);
  let step = 'part';
  try {
    if (asked?.host) await sealed();
    const { steps, base, part } = await placeOf(frame, repository, asked?.host, 'backup');
    step = 'store';
    const stored = await run.step(label('store', frame, repository), () =>
      steps.store(`Store in ${repository}`, { ...capture, ...base, repository }),
    );
    if (part && prepared.confirms) {
      step = 'confirm';
      await run.step(label('confirm', frame, repository), () =>
        frame.steps.confirm(`Ask whether what ${repository} pulled had gone meanwhile`, capture),
      );
    }
    const { snapshot, addedBytes, files, bytes } = stored;
    Object.assign(entry, {
      snapshot: snapshot.id,
      level: 'stored',
      addedBytes,
      files,
      ...(bytes === undefined ? {} : { bytes }),
    });
    step = 'verify';
    // Without a level: answered by a worker from before there was one, which failed what it could not read back.
    const { level = 'verified', read } = await run.step(label('verify', frame, repository), () =>
      steps.verify(`Verify in ${repository}: listing, databases and the engine's own check`, {
        ...base,
        repository,
        snapshot: snapshot.id,
        known: snapshot,
        depth: 'sample',
      }),
    );
    entry.level = level;
    if (read !== undefined) entry.read = read;
    const prunes = part ? part.prunes : asked?.prunes;
    step = 'prune';
    if (prunes) {
      await run.step(label('prune', frame, repository), () =>
        steps.prune(`Keep ${prunes} in ${repository}`, {
          ...base,
          repository,
          dryRun: false,
          allow: [],
          ...(level === 'verified' ? { verified: snapshot.id } : {}),
          ...(asked?.known ? { known: asked.known } : {}),
          source: { files, bytes: bytes ?? 0 },
        }),
      );
    }
  } catch (error) {
    entry.failure = run.failed(step, error, repository, asked?.host);
    if (entry.failure.type === 'Cancelled') throw error;
  }
  run.show();
  return entry;
}

/** What fails here undoes nothing: the run is partial, and says so. */
async function pushed({ run, steps, prepared, base }: Frame): Promise<void> {
  for (const remote of prepared.pushes ?? []) {
    const name = `push (${remote})`;
    try {
      await run.step(name, () => steps.push(`Push each branch to ${remote}`, { ...base, remote }));
    } catch (error) {
      if (run.failed(name, error).type === 'Cancelled') throw error;
    }
  }
}

function label(step: string, frame: Frame, repository: string): string {
  return frame.prepared.repositories.length > 1 ? `${step} (${repository})` : step;
}

/** `stored and verified in nas; stored in safe, whose key is elsewhere`. */
function kept(entries: RepositoryReport[]): string {
  const names = (level: string) =>
    entries
      .filter((entry) => entry.level === level)
      .map((entry) => entry.repository)
      .join(', ');
  const verified = names('verified');
  const stored = names('stored');
  return [
    ...(verified ? [`stored and verified in ${verified}`] : []),
    ...(stored ? [`stored in ${stored}, whose key is elsewhere`] : []),
  ].join('; ');
}

function conclude(run: Run, entries: RepositoryReport[], isUp: boolean): Ending {
  const good = entries.filter((entry) => entry.level === 'verified' || (entry.level === 'stored' && !entry.failure));
  const names = good.map((entry) => entry.repository).join(', ');
  const down = run.report.downtimeMs === undefined ? '' : `; down ${formatDuration(run.report.downtimeMs)}`;
  if (!isUp) {
    const ids = entries.flatMap((entry) =>
      entry.snapshot
        ? [`${entry.repository}:${shortId({ id: entry.snapshot, captureId: run.report.captureId ?? '' })}`]
        : [],
    );
    return { outcome: 'failed', said: `APPLICATION DOWN; stored: ${ids.join(', ') || 'nothing'}` };
  }
  if (good.length === entries.length && run.report.failures.length === 0) {
    return { outcome: 'completed', said: `${run.report.site} is ${kept(entries)}${down}` };
  }
  if (good.length === 0) return { outcome: 'failed', said: run.report.failures[0]?.message ?? 'no repository has it' };
  const failed = entries.filter((entry) => entry.failure).map((entry) => entry.repository);
  const what = failed.length > 0 ? failed : [run.report.failures[0]?.step ?? 'a step'];
  return { outcome: 'partial', said: `PARTIAL: ${names} has it, ${what.join(', ')} failed${down}` };
}
