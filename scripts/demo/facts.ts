/** Everything that the demo measures; nothing here is known beforehand. */
export interface Facts {
  app: string;
  engine: string;
  site: { rows: number; files: number; bytes: number };
  copy: { integrity: string; rows: number };
  /** Downtimes as the prober and the writer saw them. */
  floorMs: number;
  naiveMs: number;
  downtimeMs: number;
  hopMs: number;
  backup: {
    outcome: string;
    level: string;
    seconds: number;
    bytes: number;
    snapshot: string;
    historyEvents: number;
    historyBytes: number;
  };
  /** `downMs` is all of its stops together. */
  crash: { downMs: number; stops: number; outcome: string; snapshots: number };
  broken: { status: number };
  restore: {
    outcome: string;
    seconds: number;
    rowsChecked: number;
    rowsLost: number;
    rowsAfterSnapshot: number;
    rowsPutAside: number;
    files: number;
    filesLost: number;
  };
  proof: { outcome: string; checks: number; passed: number; booted: boolean; played: boolean; seconds: number };
  flippedByteFound: boolean;
  ui: string;
  seconds: number;
}

/** What `--json` prints: the keys are a promise to whoever reads them. */
export function toJson(facts: Facts, untrue: string[]): Record<string, unknown> {
  const { app, engine, downtimeMs, floorMs, naiveMs, hopMs, backup, crash, restore, proof, ui } = facts;
  return {
    outcome: untrue.length === 0 ? 'completed' : 'failed',
    app,
    engine,
    downtimeMs: Math.round(downtimeMs),
    floorMs: Math.round(floorMs),
    naiveMs: Math.round(naiveMs),
    hopMs: Math.round(hopMs),
    backup: {
      seconds: round(backup.seconds),
      bytes: backup.bytes,
      snapshot: backup.snapshot,
      historyEvents: backup.historyEvents,
      historyBytes: backup.historyBytes,
    },
    crash: { downMs: Math.round(crash.downMs), outcome: crash.outcome, snapshots: crash.snapshots },
    restore: {
      seconds: round(restore.seconds),
      rowsLost: restore.rowsLost,
      rowsAfterSnapshot: restore.rowsAfterSnapshot,
      filesLost: restore.filesLost,
    },
    proof: { outcome: proof.outcome, checks: proof.checks },
    ui,
  };
}

const round = (seconds: number) => Math.round(seconds * 100) / 100;

/** What the story claims, each with what is said where it is not so. */
export function untrueClaims(facts: Facts): string[] {
  const { copy, backup, crash, broken, restore, proof } = facts;
  const claims: [boolean, string][] = [
    [
      copy.integrity === 'ok' && copy.rows < facts.site.rows,
      'a copied main file lacks rows and still passes its check',
    ],
    [backup.outcome === 'completed', `the backup completed (it is ${backup.outcome})`],
    [backup.level === 'verified', `the backup is verified (it is ${backup.level})`],
    [crash.outcome === 'completed', `the run whose worker was killed completed (it is ${crash.outcome})`],
    [crash.snapshots === 1, `it made one snapshot (it made ${crash.snapshots})`],
    [broken.status === 500, `the wrecked site answers 500 (it answers ${broken.status})`],
    [restore.outcome === 'completed', `the restore completed (it is ${restore.outcome})`],
    [
      restore.rowsChecked > 0 && restore.rowsLost === 0,
      `every acknowledged row is back (${restore.rowsLost} of ${restore.rowsChecked} are not)`,
    ],
    [restore.filesLost === 0, `every file is back (${restore.filesLost} are not)`],
    [
      proof.outcome === 'proven' && proof.checks > 0 && proof.passed === proof.checks,
      `the restore test proves the backup (${proof.outcome}, ${proof.passed} of ${proof.checks} checks)`,
    ],
    [proof.booted, 'the restored application was booted'],
    [proof.played, 'one segment was played from it'],
    [facts.flippedByteFound, 'one flipped byte in a copy of the repository is found'],
  ];
  return claims.filter(([holds]) => !holds).map(([, claim]) => claim);
}
