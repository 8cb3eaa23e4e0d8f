import type { Level, Outcome, Proof, Report, StepFailure } from '../../../../src/core/report.js';

export const NOW = new Date('2026-11-21T08:27:00Z');

interface BackupWords {
  outcome?: Outcome;
  repositories?: string[];
  level?: Level;
  downtimeMs?: number;
  failure?: StepFailure;
}

/** The report of a backup that began at `at`. `failure` names the repository that has none of it, or nothing at all. */
export function aBackup(site: string, at: string, words: BackupWords = {}): Report {
  const { outcome = 'completed', repositories = ['nas'], level = 'verified', failure } = words;
  const stored = outcome !== 'failed';
  const entries: Report['repositories'] = stored
    ? repositories.map((repository) => ({
        repository,
        engine: 'archive',
        offsite: false,
        snapshot: `${site}-${at}`,
        level,
      }))
    : [];
  if (failure?.repository) entries.push({ repository: failure.repository, engine: 'archive', offsite: true, failure });
  return {
    schemaVersion: 1,
    workflow: 'backup',
    workflowId: `backup-${site}-${at}`,
    runId: `${site}-${at}`,
    site,
    host: 'local',
    outcome,
    said: `${site} backed up to ${repositories.join(', ')}`,
    startedAt: at,
    endedAt: at,
    ...(stored ? { capturedAt: at } : {}),
    ...(words.downtimeMs === undefined ? {} : { downtimeMs: words.downtimeMs }),
    repositories: entries,
    steps: [],
    failures: failure ? [failure] : [],
    notes: [],
    uncovered: [],
  };
}

export function aProof(site: string, provenAt: string, words: Partial<Proof> = {}): Proof {
  return {
    schemaVersion: 1,
    site,
    siteId: site,
    host: 'local',
    repository: 'nas',
    snapshot: 'abcdef0123456789',
    captureId: 'c0ffee00-0000-4000-8000-000000000000',
    capturedAt: provenAt,
    provenAt,
    outcome: 'proven',
    sample: '1/1',
    checks: [],
    rtoSeconds: 60,
    workflowId: `restore-test-${site}-${provenAt}`,
    ...words,
  };
}
