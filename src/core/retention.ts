import { bucketsIn } from './buckets.js';
import { formatDuration } from './durations.js';
import type { Snapshot } from './manifest.js';
import type { Keep } from './plan.js';

/**
 * Retention as a pure function: which snapshots of one site in one repository may go.
 *
 * Buckets are those of `restic forget`: the newest snapshot of each of the newest n hours, days, weeks (Monday to Sunday), months
 * or years that have one, by the wall clock of the site. Only complete, verified, regular snapshots fill them. What else is there:
 * unverified regular ones are kept as if they counted, yet take no bucket away from a verified one (a state directory that was
 * lost with its marks costs no history); incomplete, safety and rolled-back ones are kept for 7 days; and nothing goes that is
 * newer than the newest verified snapshot.
 */

export type Gate = 'verify' | 'clock' | 'future' | 'shrunk' | 'most';
/** Gates that a person may open after reading what they say. */
export type OpenableGate = Extract<Gate, 'shrunk' | 'most'>;

export interface SourceSize {
  files: number;
  bytes: number;
}

export interface PruneRequest {
  /** Of this site alone, in any order. */
  snapshots: readonly Snapshot[];
  /** None, or one without a number, keeps all. */
  keep?: Keep | undefined;
  /** The application's own rule: nothing younger goes, of any kind. */
  keepAtLeastMs?: number;
  now: Date;
  /** IANA name. */
  timezone: string;
  /** Ids of snapshots whose verification passed, and of those that a restore test proved. */
  verified: ReadonlySet<string>;
  proven: ReadonlySet<string>;
  gates: {
    /** Whether the verification of this run failed. */
    verifyFailed: boolean;
    /** This host's clock minus Temporal's. */
    clockOffMs: number;
    /** `before`: the source when a prune last went through, so that the gate stays closed until a person has looked. */
    source?: { before: SourceSize; now: SourceSize } | undefined;
  };
  allow?: readonly OpenableGate[];
}

export interface Kept {
  id: string;
  reasons: string[];
}

export interface PrunePlan {
  /** Newest first. */
  keep: Kept[];
  /** Oldest first; empty where a gate is closed. */
  remove: string[];
  /** The closed gate, what it saw, and what would have gone. */
  refused?: { gate: Gate; what: string; would: string[] };
}

export const MAX_CLOCK_OFF_MS = 5 * 60_000;
/** How long snapshots that fill no bucket (incomplete, safety, rolled-back) are kept. */
export const OTHERS_KEPT_MS = 7 * 86_400_000;
const RULES = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;

const time = (text: string) => Date.parse(text);
const newestFirst = (a: Snapshot, b: Snapshot) =>
  time(b.capturedAt) - time(a.capturedAt) || time(b.storedAt) - time(a.storedAt) || (a.id < b.id ? 1 : -1);

/** Decides what goes; a closed gate keeps everything and says why. */
export function planPrune(request: PruneRequest): PrunePlan {
  const reasons = reasonsToKeep(request);
  const ordered = [...request.snapshots].sort(newestFirst);
  const would = ordered.filter((s) => !reasons.has(s.id)).map((s) => s.id);
  would.reverse();
  const refused = closedGate(request, would.length);
  const keep = ordered
    .filter((s) => refused || reasons.has(s.id))
    .map((s) => ({ id: s.id, reasons: reasons.get(s.id) ?? [`gate ${refused?.gate} is closed`] }));
  return refused ? { keep, remove: [], refused: { ...refused, would } } : { keep, remove: would };
}

function reasonsToKeep({
  snapshots,
  keep,
  keepAtLeastMs = 0,
  now,
  timezone,
  verified,
  proven,
}: PruneRequest): Map<string, string[]> {
  const reasons = new Map<string, string[]>();
  const add = (s: Snapshot, reason: string) => reasons.set(s.id, [...(reasons.get(s.id) ?? []), reason]);
  const counts = keep ?? {};
  if (Object.values(counts).every((n) => n === undefined)) {
    for (const s of snapshots) add(s, 'no keep: all are kept');
    return reasons;
  }

  const ordered = [...snapshots].sort(newestFirst);
  const regular = ordered.filter((s) => s.kind === 'regular' && s.complete);
  const isVerified = (s: Snapshot) => verified.has(s.id) || proven.has(s.id);
  const good = regular.filter(isVerified);
  fill(good, counts, timezone, add);
  fill(regular, counts, timezone, (s, rule) => {
    if (!isVerified(s)) add(s, `${rule}, were it verified`);
  });

  const newestVerified = good[0];
  const newestProven = good.find((s) => proven.has(s.id));
  if (newestVerified) add(newestVerified, 'newest verified');
  if (newestProven) add(newestProven, 'newest proven');
  for (const s of ordered) {
    if (now.getTime() - time(s.storedAt) < keepAtLeastMs)
      add(s, `younger than ${formatDuration(keepAtLeastMs)}, as its application asks for`);
  }
  const judged = { good: new Set(good), regular: new Set(regular) };
  for (const s of ordered) {
    if (judged.good.has(s)) continue;
    if (!newestVerified) add(s, 'nothing here is verified yet');
    else if (time(s.capturedAt) >= time(newestVerified.capturedAt)) add(s, 'newer than the newest verified');
    else if (!judged.regular.has(s) && now.getTime() - time(s.storedAt) < OTHERS_KEPT_MS)
      add(s, `${s.complete ? s.kind : 'incomplete'}: kept 7 days`);
  }
  return reasons;
}

/** `snapshots` newest first. */
function fill(snapshots: Snapshot[], keep: Keep, timezone: string, add: (s: Snapshot, rule: string) => void): void {
  for (const s of snapshots.slice(0, keep.last ?? 0)) add(s, 'last');
  const bucketsOf = bucketsIn(timezone);
  const named = snapshots.map((s) => ({ s, buckets: bucketsOf(new Date(s.capturedAt)) }));
  for (const rule of RULES) {
    const seen = new Set<string>();
    for (const { s, buckets } of named) {
      if (seen.size >= (keep[rule] ?? 0)) break;
      if (seen.has(buckets[rule])) continue;
      seen.add(buckets[rule]);
      add(s, rule);
    }
  }
}

function closedGate(request: PruneRequest, removals: number): { gate: Gate; what: string } | undefined {
  const { snapshots, now, gates, allow = [] } = request;
  if (gates.verifyFailed) return { gate: 'verify', what: 'the verification of this run failed' };
  if (!(Math.abs(gates.clockOffMs) <= MAX_CLOCK_OFF_MS))
    return { gate: 'clock', what: `this host's clock is ${off(gates.clockOffMs)} off Temporal's` };
  const latest = Math.max(...snapshots.map((s) => Math.max(time(s.capturedAt), time(s.storedAt))));
  if (latest > now.getTime() + MAX_CLOCK_OFF_MS)
    return { gate: 'future', what: `a snapshot lies ${formatDuration(latest - now.getTime())} in the future` };
  const shrunk = gates.source && shrinkage(gates.source.before, gates.source.now);
  if (shrunk && !allow.includes('shrunk')) return { gate: 'shrunk', what: `the source lost ${shrunk}` };
  if (removals * 2 > snapshots.length && !allow.includes('most'))
    return { gate: 'most', what: `${removals} of ${snapshots.length} snapshots would go` };
  return undefined;
}

const off = (ms: number) => (Number.isFinite(ms) ? formatDuration(Math.abs(ms)) : 'an unknown time');

/** Says which measure fell by more than 30 %; integer arithmetic, so that exactly 30 % is no shrinking. */
function shrinkage(before: SourceSize, now: SourceSize): string | undefined {
  for (const measure of ['files', 'bytes'] as const) {
    const lost = before[measure] - now[measure];
    if (lost * 10 > before[measure] * 3) return `${Math.round((100 * lost) / before[measure])} % of its ${measure}`;
  }
  return undefined;
}
