import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deps } from '../../../activities/deps.js';
import type { Holder, SiteGuard } from '../../../activities/site/api.js';
import type { Env } from '../../../activities/step.js';
import { takeSite } from '../../../activities/steps/take-site.js';
import { isFailure } from '../../../src/core/failures.js';
import { testContext } from '../../support/context.js';
import { holderOf } from '../../support/holder.js';

const by = holderOf('backup-before');

/** What becomes of a run that meets `by`, of whom its server says `state`. */
async function meets(
  state: 'open' | 'closed' | 'unknown' | 'no server',
  met: { phase?: 'held' | 'stopped' | 'revoked'; expired?: boolean; locked?: boolean; by?: Holder } = {},
): Promise<string> {
  let taken = false;
  const guard = {
    hold: async () => ({ held: false, by, phase: 'held', expired: false, locked: false, ...met }),
    takeOver: async () => {
      taken = true;
    },
  } as unknown as SiteGuard;
  const deps = (state === 'no server' ? {} : { runState: async () => state }) as Deps;
  const env = { guard, deps, holder: holderOf('backup-now'), ctx: await testContext(), attempt: 1 } as Env;
  try {
    const other = await takeSite({ site: 'cms' }, env);
    return taken ? 'taken over' : `skipped for ${other}`;
  } catch (error) {
    assert.ok(isFailure(error, 'SiteBusy'));
    return 'waits';
  }
}

const elsewhere = { ...by, namespaceId: 'another' };
const restore = { ...by, workflow: 'restore' };

for (const [what, outcome, ...args] of [
  ['a run that is open', 'skipped for backup-before', 'open'],
  ['one of another kind', 'waits', 'open', { by: restore }],
  ['a closed one', 'taken over', 'closed'],
  ['a closed one in its section', 'taken over', 'closed', { phase: 'stopped' }],
  ['a forgotten one, whose worker lives', 'taken over', 'unknown'],
  ['a forgotten one whose tools still run', 'waits', 'unknown', { locked: true }],
  ['a forgotten one in its section', 'waits', 'unknown', { phase: 'stopped' }],
  ['a forgotten one whose section has expired', 'taken over', 'unknown', { phase: 'stopped', expired: true }],
  ['one of another namespace', 'waits', 'unknown', { by: elsewhere }],
  ['one of another namespace whose worker is gone', 'taken over', 'unknown', { by: elsewhere, expired: true }],
  ['one of whom nobody can ask', 'waits', 'no server'],
] as [string, string, ...Parameters<typeof meets>][])
  test(`${what}: ${outcome}`, async () => assert.equal(await meets(...args), outcome));
