import type { Check } from '../../src/core/report.js';

const MOST_PLACES = 20;

/** Counts what one check looks at and keeps the first places where it failed: memory stays flat at a million rows. */
export interface Tally {
  good(count?: number): void;
  bad(place: string): void;
  /** `what` is said of all that was looked at: `3 videos have their folder and thumbnail`. */
  check(name: string, said: (seen: number) => string, failed?: (bad: number, seen: number) => string): Check;
}

export function tally(): Tally {
  let seen = 0;
  let bad = 0;
  const places: string[] = [];
  return {
    good: (count = 1) => {
      seen += count;
    },
    bad: (place) => {
      seen++;
      bad++;
      if (places.length < MOST_PLACES) places.push(place);
    },
    check: (name, said, failed = (n, all) => `${n} of ${all} are not as they should be`) =>
      bad === 0
        ? { name, ok: true, evidence: said(seen) }
        : { name, ok: false, evidence: `${failed(bad, seen)}: ${places[0]}`, places },
  };
}

/** Runs `work` on each item, `limit` at a time, without taking more items than that in advance. */
export async function eachLimited<T>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<void>,
  limit = 16,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let failed: { error: unknown } | undefined;
  for await (const item of items) {
    const one = work(item).catch((error) => {
      failed ??= { error };
    });
    const tracked = one.finally(() => running.delete(tracked));
    running.add(tracked);
    if (running.size >= limit) await Promise.race(running);
    if (failed) break;
  }
  await Promise.all(running);
  if (failed) throw failed.error;
}

/** A check that could not be made says so, and counts as failed: nothing was proven. */
export function notMade(name: string, why: string): Check {
  return { name, ok: false, evidence: `could not be made: ${why}` };
}
