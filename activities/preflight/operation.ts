import { lstat } from 'node:fs/promises';
import { type Plan, pathOf } from '../../src/core/plan.js';
import { diskIn, diskOf } from '../capture/disk.js';
import { operationOf } from '../guarded/operation.js';
import { touches } from '../guarded/shelter-tree.js';
import { checkCommand } from '../services/commands.js';
import type { Env } from '../step.js';
import { homeOf } from '../steps/fetch-place.js';
import { spaceFor } from './space.js';

/**
 * An operation is known, can be run, and all that it may change can be brought back by renames: looked at before anything
 * stops. `bytes` is what a second copy of databases and mutable sets takes.
 */
export async function preflightOperation(plan: Plan, name: string, bytes: number, { ctx }: Env): Promise<void> {
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
    if (path === undefined)
      throw ctx.fail('RestoreRefused', `database ${spec.name} lives in a server and could not be rolled back`, {
        advice: `leave it out of operations.${name}.touches and back it up before, or do it by hand`,
      });
    if (await away(path)) throw elsewhere(spec.name);
  }
  for (const set of plan.fileSets.filter(mine)) if (await away(set.root)) throw elsewhere(set.name);
  await spaceFor("the site's disk", home, bytes, plan, ctx);

  function elsewhere(part: string): Error {
    return ctx.fail('RestoreRefused', `${part} lies on another disk than the site and could not be rolled back`, {
      advice: `name what the operation changes in operations.${name}.touches`,
    });
  }
}
