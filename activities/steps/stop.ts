import type { StopInput, Stopped } from '../api.js';
import type { Deps } from '../deps.js';
import { capOf } from '../guarded/operation.js';
import { beginSection, MAX_SECTIONS, sectionsOf } from '../sections.js';
import { services } from '../services/index.js';
import { assertStopped } from '../site/assert-stopped.js';
import { planned } from '../step.js';
import { dataPaths } from './data-paths.js';
import { takeSite } from './take-site.js';

/** Arms the section (record, undo, watchdog), stops the services in their order, and sees that nothing of them still writes. */
export const stop = (deps: Deps) =>
  planned<StopInput, Stopped>(deps, 'stop', async (input, env) => {
    const { plan, guard, holder, ctx } = env;
    const busy = await takeSite(plan, env);
    if (busy) throw ctx.fail('SiteBusy', `${busy} has ${plan.site}`);
    const { state } = deps;
    const sections = await sectionsOf(state, plan.site, holder.firstRunId);
    const before = await guard.read();
    const lives = before.phase === 'stopped' && sections.at(-1)?.epoch === before.epoch;
    if (!lives && sections.length >= MAX_SECTIONS + (input.more ?? 0)) {
      throw ctx.fail('DowntimeBudgetSpent', `${sections.length} stopped sections of this run were ended`);
    }
    const section = await guard.arm(holder, { services: plan.services, capMs: capOf(plan, input.operation) }, ctx);
    await beginSection(state, plan.site, holder.firstRunId, section.epoch, new Date().toISOString(), before);
    const renew = setInterval(() => void guard.renew(section.epoch, ctx).catch(() => {}), 5_000);
    try {
      for (const spec of plan.services) {
        const running = section.prior[spec.name] ?? [];
        if (running.length > 0) await services[spec.kind].stop(spec as never, running, ctx);
      }
      await assertStopped(plan.services, dataPaths(plan), ctx);
      await guard.renew(section.epoch, ctx);
    } finally {
      clearInterval(renew);
    }
    const ran = Object.values(section.prior).flat();
    return {
      said: ran.length > 0 ? `stopped ${ran.join(', ')}` : 'nothing ran before; it stays as it is',
      epoch: section.epoch,
    };
  });
