/** When a site of an application runs by itself, as its own document or practice says: what `holdfast init` writes first. */
export interface Preset {
  schedule: { backup: string; verify: string; restoreTest: string };
  objectives: { maxAge: string; maxProofAge: string };
  /** Comments above it, one line each. */
  why: string[];
}

const DAILY: Preset = {
  schedule: { backup: 'daily', verify: 'weekly', restoreTest: 'monthly' },
  objectives: { maxAge: '26h', maxProofAge: '35d' },
  why: ['A cron line or a word; words get a time of the night of their own. Made so by: holdfast schedule apply'],
};

const PRESETS: Record<string, Preset> = {
  seafile: {
    schedule: { backup: '0 3 * * *', verify: 'weekly', restoreTest: 'monthly' },
    objectives: DAILY.objectives,
    why: [
      "Seafile's manual: every day at 03:00, and a week of database dumps, which are never pruned earlier.",
      ...DAILY.why,
    ],
  },
  mediagit: {
    schedule: { backup: '0 2 * * *', verify: 'weekly', restoreTest: 'monthly' },
    objectives: DAILY.objectives,
    why: [
      "MediaGit's recovery plan: daily archives off-site (a repository with offsite: true), a weekly check of every object",
      'by its hash, a monthly restore test; and pushes to a remote elsewhere: options: { push: [backup] }.',
      ...DAILY.why,
    ],
  },
  apiscp: {
    schedule: { backup: '45 5 * * *', verify: 'weekly', restoreTest: 'monthly' },
    objectives: DAILY.objectives,
    why: ['Databases are exported by the backup itself, so any quiet hour will do.', ...DAILY.why],
  },
  varasto: {
    schedule: { backup: 'hourly', verify: 'weekly', restoreTest: 'monthly' },
    objectives: { maxAge: '3h', maxProofAge: '35d' },
    why: [
      "Often, says Varasto's document: without its metadata no file can be decrypted. An export stops nothing.",
      ...DAILY.why,
    ],
  },
};

/** The preset of an application; every other one is backed up each night. */
export const presetOf = (app: string): Preset => PRESETS[app] ?? DAILY;
