import type { Outcome } from './report.js';

/** What a fleet says of itself: one line per site. Versioned, additive only. */
export interface FleetSite {
  /** `cms`, or `cms@web1`; `@web1` where that host could not say which sites it has. */
  site: string;
  outcome: Outcome;
  workflowId?: string;
  /** Absent for a site that completed. */
  said?: string;
  /** Of the first failure, as the catalogue names it. */
  type?: string;
}

export interface FleetReport {
  said: string;
  schemaVersion: 1;
  workflow: 'fleet';
  of: string;
  workflowId: string;
  /** The worst of all sites. */
  outcome: Outcome;
  startedAt: string;
  endedAt?: string;
  running: string[];
  waiting: string[];
  sites: FleetSite[];
}

const WORST_FIRST: Outcome[] = ['failed', 'cancelled', 'partial', 'skipped', 'completed'];

export function worstOf(sites: readonly Pick<FleetSite, 'outcome'>[]): Outcome {
  return WORST_FIRST.find((outcome) => sites.some((site) => site.outcome === outcome)) ?? 'completed';
}

/** `backup of 12 sites: 10 completed, 1 partial, 1 failed`. */
export function fleetSaid({ of, sites, waiting }: Pick<FleetReport, 'of' | 'sites' | 'waiting'>): string {
  const counts = WORST_FIRST.toReversed().flatMap((outcome) => {
    const n = sites.filter((site) => site.outcome === outcome).length;
    return n > 0 ? [`${n} ${outcome}`] : [];
  });
  const left = waiting.length > 0 ? [`${waiting.length} not begun`] : [];
  const total = sites.length + waiting.length;
  return `${of} of ${total} ${total === 1 ? 'site' : 'sites'}: ${[...counts, ...left].join(', ') || 'there is none'}`;
}
