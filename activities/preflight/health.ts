import { isFailure } from '../../src/core/failures.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';
import { waitHealthy } from '../site/health.js';

/** An application that just started may need a moment; one that loops through crashes never gets there. */
const PATIENCE_MS = 15_000;

/**
 * What runs answers its health check before it is stopped: else nobody could tell afterwards whether it came back, and a
 * wrong address in the config would look like an outage. What does not run is not asked.
 */
export async function preflightHealth(plan: Plan, ctx: Context, patienceMs = PATIENCE_MS): Promise<void> {
  for (const spec of plan.services) {
    const { units } = await services[spec.kind].status(spec as never, ctx);
    const running = units.filter((unit) => unit.running).map((unit) => unit.name);
    if (running.length === 0) continue;
    try {
      await waitHealthy(spec, ctx, patienceMs, running);
    } catch (error) {
      if (!isFailure(error, 'NotHealthy')) throw error;
      throw ctx.fail('NotHealthy', `${spec.name} runs, but was not healthy before the backup`, {
        advice: 'look at its own log, or correct `health` in the config; nothing was stopped',
        cause: error,
      });
    }
  }
}
