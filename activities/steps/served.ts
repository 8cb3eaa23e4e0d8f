import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Manifest } from '../../src/core/manifest.js';
import type { DatabaseSpec, Plan } from '../../src/core/plan.js';
import { ABOUT } from '../capture/arrange.js';
import type { Context, Fence } from '../contracts.js';
import { type Exchanged, exchangeOf } from '../exchanged.js';
import type { UndoStep } from '../site/api.js';
import { withFence } from '../tools/context.js';
import { wasKilled } from '../tools/killed.js';

/** A captured database that no rename of files can bring back, and its dump in a fetched site. */
export interface Served {
  spec: DatabaseSpec;
  file: string;
}

/** Throws RestoreRefused for one that this host cannot exchange: nothing of a restore is left out silently. */
export function servedOf(
  manifest: Manifest,
  site: string,
  plan: Plan,
  only: readonly string[] | undefined,
  ctx: Context,
): Served[] {
  const served: Served[] = [];
  for (const { name, kind, path, file } of manifest.databases) {
    if (path !== undefined || !(only?.includes(name) ?? true)) continue;
    const spec = plan.databases.find((each) => each.name === name && each.kind === kind);
    if (!spec)
      throw ctx.fail('RestoreRefused', `the config has no ${kind} database ${name} that the dump could go into`, {
        advice: 'name it in the config, or name the other parts with --only',
      });
    if (!exchangeOf(spec))
      throw ctx.fail('RestoreRefused', `${name} can only be taken in by its application`, {
        advice: 'restore it into a directory (--target) and import it there; name the other parts with --only',
      });
    mustOutlive(spec, plan, ctx);
    served.push({ spec, file: join(site, ABOUT, file) });
  }
  return served;
}

/** Throws RestoreRefused for a database whose server would be stopped with the application. */
export function mustOutlive(spec: DatabaseSpec, plan: Pick<Plan, 'services'>, ctx: Context): void {
  const container = 'container' in spec ? spec.container : undefined;
  const isStopped = plan.services.some(
    (service) =>
      service.kind === 'compose' &&
      service.file === container?.file &&
      service.project === container.project &&
      service.services.includes(container.service),
  );
  if (isStopped)
    throw ctx.fail(
      'RestoreRefused',
      `${container?.service} would be stopped with the application, and ${spec.name} is in it`,
      {
        advice: 'leave it out of what the site stops',
      },
    );
}

export const taggedOf = (served: readonly Served[], tag: string): Exchanged[] =>
  served.map(({ spec }) => ({ spec, tag }));

/** Loads each beside the live one, while the application runs. */
export async function stageServed(served: readonly Served[], tag: string, ctx: Context): Promise<void> {
  for (const { spec, file } of served) ctx.note((await exchangeOf(spec)?.stage(spec, file, tag, ctx))?.said ?? '');
}

export const undoOfServed = (tagged: readonly Exchanged[]): UndoStep[] =>
  tagged.map(({ spec, tag }) => ({ kind: 'database', spec, tag }));

/** Those of an undo list: a repeat carries out what an earlier attempt planned. */
export const servedIn = (undo: readonly UndoStep[]): Exchanged[] =>
  undo.flatMap((step) => (step.kind === 'database' ? [{ spec: step.spec, tag: step.tag }] : []));

/**
 * Asks each server, with the application stopped, for what would take its exchange back: nothing yet. Throws RestoreFailed where that does not
 * go (the server is stopped with the application, say): once it stands on the undo list, nothing is started without it.
 */
export async function mustComeBack(tagged: readonly Exchanged[], fence: Fence, ctx: Context): Promise<void> {
  const fenced = withFence(ctx, fence);
  for (const { spec, tag } of tagged)
    await exchangeOf(spec)
      ?.takeBack(spec, tag, fenced)
      .catch((cause) => {
        ctx.signal.throwIfAborted();
        if (isFailure(cause, 'SectionRevoked') || !isFailure(cause) || wasKilled(cause)) throw cause;
        throw ctx.fail('RestoreFailed', `${spec.name} cannot be reached while the application is stopped`, {
          advice: `leave its server out of what is stopped (${cause.message})`,
          cause,
        });
      });
}

/** The live ones go aside, the staged ones take their places. */
export async function exchangeServed(tagged: readonly Exchanged[], fence: Fence, ctx: Context): Promise<void> {
  for (const { spec, tag } of tagged) await exchangeOf(spec)?.exchange(spec, tag, fence, ctx);
}
