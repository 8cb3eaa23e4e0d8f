import { isFailure } from '../../src/core/failures.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context, Exchangeable, Fence } from '../contracts.js';
import { databases } from '../databases/index.js';
import { withFence } from '../tools/context.js';
import type { UndoStep } from './api.js';

/** A server that hangs, or whose machine is gone, must not keep whoever recovers from asking anew; a load command has a limit of its own. */
const LIMIT_MS = 300_000;

/**
 * Undoes what was done to a database in a server: an exchange is taken back, or what was loaded before an operation takes its place again.
 * Each program of it runs under the site's lock, at the epoch of whoever recovers.
 */
export async function undoServed(
  { kind, spec, tag }: Extract<UndoStep, { kind: 'database' | 'bringIn' }>,
  fence: Fence,
  ctx: Context,
): Promise<void> {
  const fenced = withFence(ctx, fence, { timeoutMs: LIMIT_MS });
  const of = databases[spec.kind].exchangeable as Exchangeable<DatabaseSpec> | undefined;
  const undone = kind === 'database' ? of?.takeBack(spec, tag, fenced) : of?.exchange(spec, tag, fence, fenced);
  await undone?.catch((cause) => {
    ctx.signal.throwIfAborted();
    if (isFailure(cause, 'SectionRevoked') || !isFailure(cause)) throw cause;
    throw ctx.fail('StartFailed', `${spec.name} could not be put back, and nothing is started without it`, {
      advice: `look whether its server runs; the watchdog goes on trying (${cause.message})`,
      cause,
    });
  });
}
