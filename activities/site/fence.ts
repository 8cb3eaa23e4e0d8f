import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Context, Fence } from '../contracts.js';
import { EPOCH_MOVED, LOCK_BUSY } from '../tools/groups.js';
import type { StateDir, UndoStep } from './api.js';
import { syncDirectory, writeDurable } from './durable.js';
import type { SitePaths } from './record.js';
import { endSection } from './strays.js';
import { undoServed } from './take-back.js';

/** How often what holds the lock is ended before it counts as immortal (uninterruptible sleep on a dead disk). */
const ROUNDS = 5;

export const fenceOf = (paths: SitePaths, epoch: number): Fence => ({
  lockFile: paths.fenceLock,
  epochFile: paths.epoch,
  epoch,
});

/** $1 epoch file, $2 new epoch, $3 the file that holds it. Only ever upwards. */
const RAISE = `
now=0; [ ! -e "$1" ] || read -r now <"$1" || exit 1
[ "$now" -le "$2" ] || exit ${EPOCH_MOVED}
exec mv -f "$3" "$1"`;

/**
 * Raises the epoch under the lock: on return no tool of an earlier epoch runs, nor can one begin. What holds the lock for longer than
 * `patienceSeconds` is ended. Throws SectionRevoked where the epoch is beyond this one, StopFailed where the lock cannot be had.
 */
export async function raiseEpoch(
  state: StateDir,
  paths: SitePaths,
  epoch: number,
  patienceSeconds: number,
  ctx: Context,
): Promise<void> {
  const beside = `${paths.epoch}.${randomBytes(4).toString('hex')}`;
  await writeDurable(beside, `${epoch}\n`);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const wait = round === 0 ? patienceSeconds : 1;
      const { exitCode } = await ctx.run(
        'flock',
        [
          ...['-F', '-x', '-w', String(wait), '-E', String(LOCK_BUSY), paths.fenceLock],
          ...['sh', '-c', RAISE, 'holdfast', paths.epoch, String(epoch), beside],
        ],
        // 137: another recoverer took our waiting for a stray.
        { ok: [0, LOCK_BUSY, EPOCH_MOVED, 137] },
      );
      if (exitCode === 0) return await syncDirectory(dirname(paths.epoch));
      if (exitCode === EPOCH_MOVED) throw ctx.fail('SectionRevoked', 'somebody else has ended the stopped section');
      await endSection(state, paths.fenceLock);
    }
  } finally {
    await rm(beside, { force: true });
  }
  throw ctx.fail('StopFailed', "a program of the stopped section cannot be ended and keeps the site's lock", {
    advice: 'look for a process in uninterruptible sleep: a dead disk or network mount',
  });
}

/** Moves a finished capture to its place, under the lock and at this epoch only. Does nothing where that was done before. */
export async function commitMove(fence: Fence, from: string, to: string, ctx: Context): Promise<void> {
  if (exists(from) || !exists(to)) await ctx.run('mv', ['-T', '--', from, to], { fence });
  await syncDirectory(dirname(to));
  if (dirname(from) !== dirname(to) && existsSync(dirname(from))) await syncDirectory(dirname(from));
}

/** $1 from, $2 to, $3 aside: what was moved from → to goes back; whoever stands at `from` by then goes aside, under a free name. */
const MOVE_BACK = `
exists() { [ -e "$1" ] || [ -L "$1" ]; }
exists "$2" || exit 0
mkdir -p -- "$(dirname -- "$1")" || exit 1
if exists "$1"; then
  [ -n "$3" ] || exit 0
  mkdir -p -- "$(dirname -- "$3")" || exit 1
  n=0; free=$3; while exists "$free"; do n=$((n+1)); free=$3.$n; done
  mv -T -- "$1" "$free" || exit 1
fi
exec mv -T -- "$2" "$1"`;

/** $1 path, $2 to, $3 unless: what stands at the path goes aside, under a free name. */
const CLEAR = `
exists() { [ -e "$1" ] || [ -L "$1" ]; }
exists "$3" && exit 0
exists "$1" || exit 0
mkdir -p -- "$(dirname -- "$2")" || exit 1
n=0; free=$2; while exists "$free"; do n=$((n+1)); free=$2.$n; done
exec mv -T -- "$1" "$free"`;

/** $1 directory, $2 where to, then the names that stay: every other entry goes there, under a free name. */
const SWEEP = `
exists() { [ -e "$1" ] || [ -L "$1" ]; }
dir=$1; to=$2; shift 2
for each in "$dir"/* "$dir"/.[!.]* "$dir"/..?*; do
  exists "$each" || continue
  name=\${each##*/}
  for kept; do [ "$kept" != "$name" ] || continue 2; done
  mkdir -p -- "$to" || exit 1
  n=0; free=$to/$name; while exists "$free"; do n=$((n+1)); free=$to/$name.$n; done
  mv -T -- "$each" "$free" || exit 1
done`;

/**
 * Replays an undo list backwards, each step under the lock and at this epoch: a recoverer that was frozen cannot do it late.
 * Each step looks at what there is, so that a second replay after a death at any instruction ends in the same state.
 */
export async function replayUndo(fence: Fence, undo: UndoStep[], ctx: Context): Promise<void> {
  for (const step of undo.toReversed()) {
    if (step.kind === 'database' || step.kind === 'bringIn') {
      await undoServed(step, fence, ctx);
      continue;
    }
    const [script, from, to, ...more] = scriptOf(step);
    await ctx.run('sh', ['-c', script, 'holdfast', from, to, ...more], { fence }).catch((cause) => {
      if (isFailure(cause, 'SectionRevoked') || !isFailure(cause)) throw cause;
      throw ctx.fail('StartFailed', `${to} could not be moved back to ${from}, and nothing is started without it`, {
        advice: 'move it back by hand; the watchdog goes on trying',
        cause,
      });
    });
    const third = step.kind === 'sweep' ? step.to : more[0];
    for (const each of new Set([from, to, third || from].map(dirname))) if (exists(each)) await syncDirectory(each);
  }
}

function scriptOf(
  step: Exclude<UndoStep, { kind: 'database' | 'bringIn' }>,
): [script: string, from: string, to: string, ...more: string[]] {
  if (step.kind === 'clear') return [CLEAR, step.path, step.to, step.unless];
  if (step.kind === 'sweep') return [SWEEP, step.path, step.to, ...step.keep];
  return [MOVE_BACK, step.from, step.to, step.aside ?? ''];
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
