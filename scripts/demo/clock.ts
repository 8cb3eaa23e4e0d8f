/** Milliseconds since 1970 that no clock step can bend within one run. */
export const now = (): number => performance.timeOrigin + performance.now();

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Instants at which something answered, and how long it did not. */
export class Timeline {
  readonly marks: number[] = [];

  mark(at = now()): void {
    this.marks.push(at);
  }

  /** The longest time without a mark in [from, to]: downtime as somebody outside sees it. Waits for a mark after `to`. */
  async longestGap(from: number, to: number): Promise<number> {
    const limit = to + 30_000;
    while ((this.marks.at(-1) ?? 0) < to && now() < limit) await sleep(5);
    const before = this.marks.filter((at) => at < from).at(-1) ?? from;
    const after = this.marks.find((at) => at > to) ?? now();
    const inside = this.marks.filter((at) => at >= from && at <= to);
    let last = before;
    let longest = 0;
    for (const at of [...inside, after]) {
      longest = Math.max(longest, at - last);
      last = at;
    }
    return longest;
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
