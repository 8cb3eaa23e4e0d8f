import type { VerifyInput } from '../api.js';
import { checks } from '../checks/index.js';
import type { PlannedEnv } from '../step.js';
import { nextPart } from './rotation.js';

/**
 * An application whose store rots in silence (MediaGit) is looked at too, once a run: what is damaged there today is in no good backup
 * for ever. A backup's own verify leaves it out, and so does another host's part. Returns what to add to what the step says.
 */
export async function verifyLive(input: VerifyInput, { plan, ctx, deps }: PlannedEnv): Promise<string> {
  const look = checks[plan.app]?.live;
  const first = plan.repositories[0]?.name === input.repository;
  if (!look || !first || plan.of || input.known || input.depth === 'structure') return '';
  const part = input.depth === 'full' ? { n: 1, of: 1 } : await nextPart(deps.state, plan.site, 'live');
  const bad = await look(plan, part, ctx);
  if (bad.length === 0) return `; the live site is whole (share ${part.n}/${part.of})`;
  throw ctx.fail(
    'VerifyFailed',
    `${bad.length} objects of the live site are damaged or missing: ${bad[0]}`.slice(0, 110),
    {
      advice: `run \`holdfast repair ${plan.site}\`; what is stored was verified`,
      details: { places: bad.slice(0, 20) },
    },
  );
}
