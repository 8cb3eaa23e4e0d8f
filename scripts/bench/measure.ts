import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { Timeline } from '../demo/clock.js';

export const run = promisify(execFile);

/** One line of the table: what Holdfast took, what it is held against, and how the two may differ. */
export interface Row {
  what: string;
  unit: 'ms' | 's' | 'events' | 'KB' | 'MB' | 'a second';
  ours: number[];
  theirs?: { name: string; values: number[] };
  /** Largest ratio (or largest value, where nothing is held against it) that is good enough. */
  target?: number;
  /** Smallest value that is good enough. */
  atLeast?: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Ours to theirs, or ours alone. */
export function figure({ ours, theirs }: Row): number {
  return theirs ? median(ours) / median(theirs.values) : median(ours);
}

export function missed(row: Row): boolean {
  const { target = Number.POSITIVE_INFINITY, atLeast = Number.NEGATIVE_INFINITY } = row;
  return !(figure(row) <= target && figure(row) >= atLeast);
}

const short = (value: number) => (value >= 100 ? String(Math.round(value)) : value.toFixed(2).replace(/\.?0+$/, ''));
const raw = (numbers: readonly number[]) => numbers.map(short).join(' ');

/** `full run: 7.5 s  restic by hand 7.3 s  1.03 times  within 1.05  (7.4 7.5 7.6 / 7.2 7.3 7.3)`. */
export function text(row: Row): string {
  const { what, unit, ours, theirs, target, atLeast } = row;
  const against = theirs ? `  ${theirs.name} ${short(median(theirs.values))} ${unit}  ${short(figure(row))} times` : '';
  const limit = target ?? atLeast;
  const goal = limit === undefined ? '' : `  ${missed(row) ? 'MISSES' : 'within'} ${limit}`;
  const numbers = ours.length > 1 ? `  (${raw(ours)}${theirs ? ` / ${raw(theirs.values)}` : ''})` : '';
  return `${what}: ${short(median(ours))} ${unit}${against}${goal}${numbers}`;
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

/** The most memory that a process held while something was done, in MB, as the kernel noted it. */
export async function peakMb(pid: number, what: () => Promise<unknown>): Promise<number> {
  // Forgets the peak that it had before.
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  await what();
  const kb = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb) / 1024;
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
