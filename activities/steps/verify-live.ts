import type { Verified, VerifyInput } from '../api.js';
import { checks } from '../checks/index.js';
import type { PlannedEnv } from '../step.js';
import { nextPart } from './rotation.js';

/**
 * An application whose store rots in silence (MediaGit) is looked at too, once a run: what is damaged there today is in no good backup
 * for ever. A backup's own verify leaves it out, and so does another host's part. Damage there is none of the repository's, so it fails no step.
 */
export async function verifyLive(
  input: VerifyInput,
  { plan, ctx, deps }: PlannedEnv,
): Promise<Pick<Verified, 'said' | 'damage'>> {
  const look = checks[plan.app]?.live;
  const first = plan.repositories[0]?.name === input.repository;
  if (!look || !first || plan.of || input.known || input.depth === 'structure') return { said: '' };
  const part = input.depth === 'full' ? { n: 1, of: 1 } : await nextPart(deps.state, plan.site, 'live');
  const bad = await look(plan, part, ctx);
  const share = `share ${part.n}/${part.of}`;
  if (bad.length === 0) return { said: `; the live site is whole (${share})` };
  const { message } = ctx.fail(
    'VerifyFailed',
    `${bad.length} objects of the live site are damaged or missing: ${bad[0]}`.slice(0, 110),
    {
      advice: `run \`holdfast repair ${plan.site}\``,
    },
  );
  for (const place of bad.slice(1, 20)) ctx.note(`damaged or missing: ${place}`);
  return { said: `; THE LIVE SITE IS DAMAGED (${share})`, damage: message };
}
