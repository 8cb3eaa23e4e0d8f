/** Milliseconds since 1970 that no clock step can bend within one run. */
export const now = (): number => performance.timeOrigin + performance.now();

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Limit of a wait for what this machine alone does: a cold and busy one took more than a minute to a worker's first poll. */
export const PATIENCE_MS = 300_000;

/** A site that answers within this is up. */
const SLOW_MS = 250;

/** Instants at which something answered, and how long it did not. */
export class Timeline {
  readonly marks: number[] = [];

  mark(at = now()): void {
    this.marks.push(at);
  }

  /** Times without a mark in [from, to] that are longer than a slow answer. Waits for a mark after `to`. */
  async outages(from: number, to: number): Promise<number[]> {
    const limit = now() + 30_000;
    while ((this.marks.at(-1) ?? 0) <= to && now() < limit) await sleep(5);
    const before = this.marks.findLast((at) => at < from) ?? from;
    const after = this.marks.find((at) => at > to) ?? now();
    const marks = [before, ...this.marks.filter((at) => at >= from && at <= to), after];
    return marks
      .slice(1)
      .map((at, n) => at - marks[n]!)
      .filter((gap) => gap > SLOW_MS);
  }
}

/** Polls until `ask` gives something; throws what it waited for after `limitMs`. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => T | undefined | Promise<T | undefined>,
): Promise<T> {
  const limit = now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (now() > limit) throw new Error(`waited ${limitMs / 1000} s in vain for ${what}`);
    await sleep(10);
  }
}
