import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { activityInfo } from '@temporalio/activity';
import { formatBytes } from '../../src/core/durations.js';
import type { Plan } from '../../src/core/plan.js';
import { planPrune, type SourceSize } from '../../src/core/retention.js';
import type { Pruned, PruneInput } from '../api.js';
import type { Deps } from '../deps.js';
import { engines } from '../engines/index.js';
import { knownLevels, readReports } from '../reports.js';
import { writeDurable } from '../site/durable.js';
import { planned } from '../step.js';
import { repositoryOf } from './repository-of.js';

/** Applies retention in one repository: only with every gate open (src/core/retention.ts), and never what is newest verified or proven. */
export const prune = (deps: Deps) =>
  planned<PruneInput, Pruned>(deps, 'prune', async (input, { plan, ctx }) => {
    const repository = repositoryOf(plan, input.repository, ctx);
    const engine = engines[repository.engine];
    const snapshots = await engine.list(repository, plan.siteId, ctx);
    if (!repository.keep || repository.appendOnly) {
      return {
        said: repository.appendOnly ? 'append-only: nothing is removed' : 'no keep: everything is kept',
        removed: 0,
        kept: snapshots.length,
      };
    }
    const { verified, proven } = input.known
      ? { verified: new Set(input.known.verified), proven: new Set(input.known.proven) }
      : await knownLevels(deps.state, plan.site, repository.name);
    if (input.verified) verified.add(input.verified);
    const before = await sizeAtLastPrune(deps, plan, repository.name);
    const now = input.source ?? (await lastSize(deps, plan, repository.name));
    const planned = planPrune({
      snapshots,
      keep: repository.keep,
      keepAtLeastMs: Math.max(plan.keepAtLeastMs, engine.keepsAtLeastMs ?? 0),
      now: new Date(),
      timezone: plan.timezone,
      verified,
      proven,
      allow: input.allow,
      gates: {
        verifyFailed: input.verifyFailed ?? false,
        clockOffMs: clockOff(),
        ...(before && now ? { source: { before, now } } : {}),
      },
    });
    const kept = planned.keep.length;
    if (planned.refused) {
      ctx.note(`${repository.name}: nothing was removed: ${planned.refused.what}`);
      return { said: `kept all ${kept}: ${planned.refused.what}`, removed: 0, kept, refused: planned.refused.what };
    }
    const removed = planned.remove.length;
    if (now && !input.dryRun) await writeDurable(sizeFile(deps, plan, repository.name), JSON.stringify(now));
    if (removed === 0) return { said: `kept all ${kept}`, removed, kept };
    if (input.dryRun) return { said: `would remove ${removed}, keep ${kept}`, removed: 0, kept };
    const { freedBytes } = await engine.forget(repository, planned.remove, ctx);
    return { said: `removed ${removed}, kept ${kept}, freed ${formatBytes(freedBytes)}`, removed, kept };
  });

/** This host's clock minus Temporal's, by when the server gave this attempt out. A wait in the queue looks like a clock ahead. */
function clockOff(): number {
  return Date.now() - activityInfo().currentAttemptScheduledTimestampMs;
}

/** The source as the newest verified backup saw it. */
async function lastSize(deps: Deps, plan: Plan, repository: string): Promise<SourceSize | undefined> {
  for (const report of (await readReports(deps.state, plan.site)).reverse()) {
    const entry = report.repositories.find((each) => each.repository === repository && each.level === 'verified');
    if (report.workflow === 'backup' && entry?.files !== undefined && entry.bytes !== undefined)
      return { files: entry.files, bytes: entry.bytes };
  }
  return undefined;
}

/** The source when a prune last went through: a gate that has closed stays closed until a person has looked. */
async function sizeAtLastPrune(deps: Deps, plan: Plan, repository: string): Promise<SourceSize | undefined> {
  const text = await readFile(sizeFile(deps, plan, repository), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as SourceSize);
}

function sizeFile(deps: Deps, plan: Plan, repository: string): string {
  return join(deps.state.site(plan.site).dir, `pruned-${repository}.json`);
}
