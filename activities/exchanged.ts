import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { DatabaseSpec } from '../src/core/plan.js';
import type { Context, Exchangeable } from './contracts.js';
import { databases } from './databases/index.js';

/** A database that lives in a server (or behind a program) and what of it carries a run's tag. Secrets are references, as everywhere. */
export const Exchanged = z.strictObject({ spec: DatabaseSpec, tag: z.string() });
export type Exchanged = z.infer<typeof Exchanged>;

/** How a kind is exchanged; undefined where only its application could. */
export function exchangeOf({ kind }: Pick<DatabaseSpec, 'kind'>): Exchangeable | undefined {
  return databases[kind].exchangeable as Exchangeable | undefined;
}

/** Whether what was dumped of it can take its place here. */
export function canBeExchanged(spec: DatabaseSpec): boolean {
  return exchangeOf(spec) !== undefined && !(spec.kind === 'command' && spec.load === undefined);
}

/** What is known to carry tags, and more of it: what an earlier attempt loaded is still there. */
export function joined(known: readonly Exchanged[] = [], more: readonly Exchanged[] = []): Exchanged[] {
  return [...known.filter((one) => !more.some((each) => isDeepStrictEqual(each, one))), ...more];
}

/** Removes what was staged, or all that carries the tag. A server that does not answer is asked again by a later run: false. */
export async function clearExchanged(
  all: readonly Exchanged[],
  what: 'unstage' | 'drop',
  ctx: Context,
): Promise<boolean> {
  let done = true;
  for (const { spec, tag } of all) {
    try {
      await exchangeOf(spec)?.[what](spec, tag, ctx);
    } catch (error) {
      ctx.signal.throwIfAborted();
      ctx.note(`${spec.name}: what a restore left in its server stays for now: ${(error as Error).message}`);
      done = false;
    }
  }
  return done;
}
