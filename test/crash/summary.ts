import type { Blow } from './cases.js';
import type { Played } from './play.js';

/** Of the cases whose blow found the application down: milliseconds until it answered. */
export interface Healthy {
  blow: Blow | 'all';
  cases: number;
  p50: number;
  p95: number;
  most: number;
}

/** Per kind of blow, and of all together. */
export function healthyTimes(played: readonly Played[]): Healthy[] {
  const blows = [...new Set(played.flatMap(({ blow }) => blow ?? []))].sort();
  return (['all', ...blows] as const).flatMap((blow) => {
    const times = played
      .flatMap((one) => (one.healthyMs !== undefined && (blow === 'all' || one.blow === blow) ? one.healthyMs : []))
      .sort((a, b) => a - b);
    const at = (p: number) => Math.round(times[Math.min(times.length - 1, Math.floor(times.length * p))] ?? 0);
    return times.length === 0 ? [] : [{ blow, cases: times.length, p50: at(0.5), p95: at(0.95), most: at(1) }];
  });
}

/** What came of the cases, and how long the application was down after each kind of blow. */
export function summary(played: readonly Played[]): string {
  const outcomes = new Map<string, number>();
  for (const { outcome } of played) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const hit = played.filter(({ struck }) => struck !== undefined).length;
  const told = [...outcomes].map(([name, n]) => `${n} ${name}`).join(', ');
  const rows = healthyTimes(played).map(({ blow, cases, p50, p95, most }) =>
    [blow.padEnd(10), ...[cases, p50, p95, most].map((n) => String(n).padStart(8))].join(''),
  );
  const table = rows.length > 0 ? ['from the blow to healthy, in ms: cases, p50, p95, most', ...rows] : [];
  return [`${played.length} cases, ${hit} struck before the run had ended; ${told || 'none ended'}`, ...table].join(
    '\n  ',
  );
}
