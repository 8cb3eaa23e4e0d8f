import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { buildLab } from '../support/lab-build.js';
import { type Arena, openArena } from './arena.js';
import { type Case, nameOf } from './cases.js';
import { type Played, play } from './play.js';
import { summary } from './summary.js';

/**
 * Plays cases as one test. Most of a case is waiting for Temporal to notice a death, so several labs play side by side.
 * HOLDFAST_CRASH_ONLY picks those whose name holds it, HOLDFAST_CRASH_LABS says how many labs.
 */
export async function matrix(
  title: string,
  all: readonly Case[],
  options: { ownServer?: boolean; labs?: number } = {},
): Promise<void> {
  const { HOLDFAST_CRASH_ONLY = '', HOLDFAST_CRASH_LABS = options.labs ?? '6' } = process.env;
  const queue = all.filter((one) => nameOf(one).includes(HOLDFAST_CRASH_ONLY));
  const labs = Math.min(Number(HOLDFAST_CRASH_LABS), queue.length);
  const built = await buildLab();
  const played: Played[] = [];
  const failed: string[] = [];
  after(async () => {
    console.log(`${title}: ${summary(played)}`);
    await built.remove();
  });

  const one = async (arena: Arena, next: Case): Promise<boolean> => {
    try {
      const result = await play(arena, next);
      played.push(result);
      console.log(JSON.stringify(result));
      return true;
    } catch (error) {
      failed.push(`${nameOf(next)}: ${(error as Error).message}`);
      console.log(`FAILED ${nameOf(next)}\n${(error as Error).stack}`);
      return false;
    }
  };

  test(title, async (t) => {
    await Promise.all(
      Array.from({ length: labs }, async () => {
        let arena: Arena | string | undefined;
        try {
          for (let next = queue.shift(); next; next = queue.shift()) {
            arena ??= await openArena(built.dir, options.ownServer);
            if (typeof arena === 'string') return t.skip(arena);
            // What one case has left behind is not the next one's fault.
            if (!(await one(arena, next))) arena = void (await arena.end());
          }
        } finally {
          if (arena && typeof arena !== 'string') await arena.end();
        }
      }),
    );
    assert.deepEqual(failed, []);
  });
}
