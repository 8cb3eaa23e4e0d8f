import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../contracts.js';

/** Polls until `done` or until the time is up, first at once, then every 20 to 200 ms. Rejects when the step is cancelled. */
export async function until(done: () => Promise<boolean>, withinMs: number, ctx: Context): Promise<boolean> {
  const end = performance.now() + withinMs;
  for (let pause = 20; ; pause = Math.min(pause * 1.5, 200)) {
    if (await done()) return true;
    const left = end - performance.now();
    if (left <= 0) return false;
    ctx.beat();
    await sleep(Math.min(pause, left), undefined, { signal: ctx.signal });
  }
}
