import type { StepResult } from '../../src/core/report.js';
import type { TurnInput } from '../api.js';
import { noteAside } from '../aside.js';
import { siteIn } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import type { Deps } from '../deps.js';
import { cannotReturn, readWayBack, toAfter, toBefore } from '../guarded/way-back.js';
import { planned } from '../step.js';
import { mustBeRenames } from './exchanges.js';
import { asideTree, besideTree, homeOf, runTag } from './fetch-place.js';
import { exchangeServed, mustComeBack, servedIn, undoOfServed } from './served.js';
import { carryOut, listed, undoOf } from './swap.js';

/** Exchanges the state from before an operation and the one that it left, as a person has decided; what goes is kept for 7 days. */
export const turn = (deps: Deps) =>
  planned<TurnInput, StepResult>(deps, 'turn', async (input, env) => {
    const { plan, guard, ctx } = env;
    const run = runTag({ firstRunId: input.changeId });
    const home = await homeOf(plan);
    const site = siteIn(besideTree(home, plan, run));
    if (!(await exists(site)))
      throw ctx.fail('RestoreFailed', 'the way back is not there: this run was reset after its end', {
        advice: 'look for the trees beside the site, named after it; nothing was changed',
      });
    const way = await readWayBack(site);
    const made = way.aside;
    const before = asideTree(home, plan, run);
    // Else what is missing there would count as removed by the operation, and what runs would go aside with nothing in its place.
    if (input.to === 'after' && !(await exists(made)))
      throw ctx.fail('RestoreFailed', `what ${input.operation} had made is not kept any more`, {
        advice: 'nothing was changed; the state from before stays',
      });
    if (input.to === 'after' && way.databases.length > 0)
      throw ctx.fail('RestoreFailed', cannotReturn(way), {
        advice: 'nothing was changed; the state from before stays',
      });
    const record = await guard.read();
    const known = record.undo.length > 0;
    const exchanges = known
      ? listed(record.undo)
      : input.to === 'before'
        ? await toBefore(way)
        : await toAfter(way, before);
    if (!known) {
      await mustBeRenames(exchanges, home, ctx);
      await mustComeBack(way.databases, (await guard.section(input.epoch, ctx)).fence, ctx);
      const at = new Date().toISOString();
      const aside = input.to === 'before' ? { path: made, kind: 'rolled-back' as const } : { path: before };
      const served = way.databases.length > 0 ? { databases: way.databases } : {};
      await noteAside(deps.state, plan.site, { ...aside, at, snapshot: input.operation, ...served });
      await guard.addUndo(input.epoch, [...undoOf(exchanges), ...undoOfServed(way.databases)], ctx);
    }
    for (const exchange of exchanges) await carryOut(exchange, input.epoch, env);
    const served = known ? servedIn(record.undo) : way.databases;
    if (served.length > 0) await exchangeServed(served, (await guard.section(input.epoch, ctx)).fence, ctx);
    const said = input.to === 'before' ? 'the state from before is back' : `what ${input.operation} left is back`;
    return { said: `${said}; the other one is kept for 7 days` };
  });
