import { isFailure } from '../../src/core/failures.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context, Fence } from '../contracts.js';
import { databases } from '../databases/index.js';

/** A server that hangs, or whose machine is gone, must not keep whoever recovers from asking anew; a load command has a limit of its own. */
const LIMIT_MS = 300_000;

/** Takes the exchange of a database in a server back: each program of it runs under the site's lock, at the epoch of whoever recovers. */
export async function takeBack(spec: DatabaseSpec, tag: string, fence: Fence, ctx: Context): Promise<void> {
  const fenced: Context = {
    ...ctx,
    run: (program, args, options) => ctx.run(program, args, { timeoutMs: LIMIT_MS, ...options, fence }),
  };
  await databases[spec.kind].exchangeable?.takeBack(spec as never, tag, fenced).catch((cause) => {
    ctx.signal.throwIfAborted();
    if (isFailure(cause, 'SectionRevoked') || !isFailure(cause)) throw cause;
    throw ctx.fail('StartFailed', `${spec.name} could not be put back, and nothing is started without it`, {
      advice: `look whether its server runs; the watchdog goes on trying (${cause.message})`,
      cause,
    });
  });
}
