import { now, sleep, Timeline } from './clock.js';

const EVERY_MS = 20;
const PATIENCE_MS = 2000;

export interface Visitors {
  /** Every write that the site acknowledged: its id, and when. */
  acknowledged: Map<number, number>;
  answered: Timeline;
  written: Timeline;
  /** Status of the last answer to the prober; 0 where nothing answered. */
  status: () => number;
  /** Times in [from, to] without an answer to reads or to writes, whichever of the two had to wait longer. */
  outages: (from: number, to: number) => Promise<number[]>;
  pause: () => Promise<void>;
  resume: () => void;
  stop: () => Promise<void>;
}

/**
 * A writer and a prober, each every 20 ms, as real requests. What they saw is what the story calls downtime: measured
 * from outside, with everything in it.
 */
export function startVisitors(
  write: (signal: AbortSignal) => Promise<number>,
  read: (signal: AbortSignal) => Promise<number>,
): Visitors {
  const acknowledged = new Map<number, number>();
  const answered = new Timeline();
  const written = new Timeline();
  let status = 0;
  let running = true;
  let writing = true;
  let midWrite = false;

  const writer = every(
    () => running,
    async () => {
      if (!writing) return;
      midWrite = true;
      try {
        const id = await write(AbortSignal.timeout(PATIENCE_MS));
        acknowledged.set(id, now());
        written.mark();
      } catch {
        // Not acknowledged: nobody may count on it.
      } finally {
        midWrite = false;
      }
    },
  );
  const prober = every(
    () => running,
    async () => {
      status = await read(AbortSignal.timeout(PATIENCE_MS)).catch(() => 0);
      if (status === 200) answered.mark();
    },
  );

  return {
    acknowledged,
    answered,
    written,
    status: () => status,
    outages: async (from, to) => {
      const [reads, writes] = [await answered.outages(from, to), await written.outages(from, to)];
      return sum(reads) > sum(writes) ? reads : writes;
    },
    pause: async () => {
      writing = false;
      while (midWrite) await sleep(5);
    },
    resume: () => {
      writing = true;
    },
    stop: async () => {
      running = false;
      await Promise.all([writer, prober]);
    },
  };
}

export const sum = (times: number[]): number => times.reduce((a, b) => a + b, 0);

async function every(running: () => boolean, visit: () => Promise<void>): Promise<void> {
  while (running()) {
    const next = now() + EVERY_MS;
    await visit();
    await sleep(Math.max(0, next - now()));
  }
}
