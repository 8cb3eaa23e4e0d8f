import { execFile } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { Timeline } from '../demo/clock.js';

export const run = promisify(execFile);

/** One line of the table: what Holdfast took, what it is held against, and how the two may differ. */
export interface Row {
  what: string;
  unit: 'ms' | 's' | 'events' | 'KB' | 'MB';
  ours: number[];
  theirs?: { name: string; values: number[] };
  /** Largest ratio (or largest value, where nothing is held against it) that is good enough. */
  target?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Ours to theirs, or ours alone. */
export function figure({ ours, theirs }: Row): number {
  return theirs ? median(ours) / median(theirs.values) : median(ours);
}

export async function times(count: number, once: () => Promise<number>): Promise<number[]> {
  const all: number[] = [];
  for (let n = 0; n < count; n++) all.push(await once());
  return all;
}

/** Milliseconds that something takes. */
export async function took(what: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await what();
  return performance.now() - began;
}

const EVERY_MS = 10;

/** Asks a site all the time while something is done, and tells for how long it did not answer, in ms. */
export async function outageOf(up: () => Promise<boolean>, what: () => Promise<unknown>): Promise<number> {
  const answered = new Timeline();
  let running = true;
  const prober = (async () => {
    while (running) {
      if (await up()) answered.mark();
      await new Promise((done) => setTimeout(done, EVERY_MS));
    }
  })();
  try {
    const from = performance.timeOrigin + performance.now();
    await what();
    const gaps = await answered.outages(from, performance.timeOrigin + performance.now());
    return gaps.reduce((a, b) => a + b, 0);
  } finally {
    running = false;
    await prober;
  }
}
