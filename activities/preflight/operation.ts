import { lstat } from 'node:fs/promises';
import { type Plan, pathOf } from '../../src/core/plan.js';
import { diskIn, diskOf } from '../capture/disk.js';
import { canBeExchanged } from '../exchanged.js';
import { operationOf } from '../guarded/operation.js';
import { servedBy, touches } from '../guarded/shelter-tree.js';
import { checkCommand } from '../services/commands.js';
import { watchdogKnows } from '../site/watchdog-knows.js';
import type { Env } from '../step.js';
import { homeOf } from '../steps/fetch-place.js';
import { mustOutlive } from '../steps/served.js';
import { spaceFor } from './space.js';

/**
 * An operation is known, can be run, and all that it may change can be brought back, by renames or by a database's own exchange: looked at before
 * anything stops. `bytes` is what a second copy of databases and mutable sets takes.
 */
export async function preflightOperation(plan: Plan, name: string, bytes: number, { ctx, deps }: Env): Promise<void> {
  const operation = operationOf(plan, name, ctx);
  const parts = [...plan.databases, ...plan.fileSets];
  const unknown = operation.touches?.filter((part) => !parts.some((each) => each.name === part)) ?? [];
  if (unknown.length > 0)
    throw ctx.fail('InvalidConfig', `${name} touches ${unknown.join(', ')}, which ${plan.site} does not have`, {
      advice: `name some of ${parts.map((part) => part.name).join(', ')}`,
    });
  await checkCommand(`operation ${name}`, operation.run, ctx);
  const { check } = operation;
  if (check && 'command' in check) await checkCommand(`the check of ${name}`, check.command, ctx);
  const home = await homeOf(plan);
  const disk = await diskIn(home);
  const mine = ({ name: part }: { name: string }) => touches(operation, part);
  const away = async (path: string) => (await lstat(path).catch(() => undefined)) && (await diskOf(path)) !== disk;
  for (const spec of plan.databases.filter(mine)) {
    const path = pathOf(spec);
    if (path === undefined) {
      if (!canBeExchanged(spec))
        throw ctx.fail(
          'RestoreRefused',
          `nothing here could load what was dumped of ${spec.name}, so it could not be rolled back`,
          {
            advice: `${spec.kind === 'command' ? 'give it a load command, or leave' : 'leave'} it out of operations.${name}.touches and back it up before`,
          },
        );
      mustOutlive(spec, plan, ctx);
    } else if (await away(path)) throw elsewhere(spec.name);
  }
  await watchdogKnows(servedBy(plan, operation), deps.state, ctx);
  for (const set of plan.fileSets.filter(mine)) if (await away(set.root)) throw elsewhere(set.name);
  await spaceFor("the site's disk", home, bytes, plan, ctx);

  function elsewhere(part: string): Error {
    return ctx.fail('RestoreRefused', `${part} lies on another disk than the site and could not be rolled back`, {
      advice: `name what the operation changes in operations.${name}.touches`,
    });
  }
}
