import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Proof, Report } from '../src/core/report.js';
import type { StateDir } from './site/api.js';
import { writeDurable } from './site/durable.js';

/**
 * Final reports and proofs on the host: they outlive Temporal's history, and every gate of retention reads them. One
 * JSON file each; names sort by time. A file that cannot be read is passed over: it must not stop a backup.
 */
export async function readReports(state: StateDir, site: string): Promise<Report[]> {
  return (await readAll(state.reports(site), Report)).sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

export async function readProofs(state: StateDir, site: string): Promise<Proof[]> {
  return (await readAll(state.proofs(site), Proof)).sort((a, b) => a.provenAt.localeCompare(b.provenAt));
}

export async function writeReport(state: StateDir, report: Report): Promise<void> {
  await write(state.reports(report.site), fileName(report.startedAt, report.workflow, report.runId), report);
  // A pair of snapshots that was tried is in the report; proofs are of one snapshot.
  if (report.proof && report.proof.databaseSnapshot === undefined)
    await write(
      state.proofs(report.site),
      fileName(report.proof.provenAt, report.proof.repository, report.runId),
      report.proof,
    );
}

/** How many reports a site keeps: years of nightly ones. */
const KEEP_REPORTS = 2000;

async function write(dir: string, name: string, content: unknown): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  await writeDurable(join(dir, name), `${JSON.stringify(content, null, 1)}\n`);
  const old = (await readdir(dir)).filter((file) => file.endsWith('.json')).sort();
  for (const file of old.slice(0, Math.max(0, old.length - KEEP_REPORTS))) await rm(join(dir, file), { force: true });
}

/** The same report written twice (a retried step) is the same file. */
function fileName(at: string, what: string, runId: string): string {
  return `${at.replaceAll(/[:.]/g, '-')}-${what}-${runId.slice(-12)}.json`;
}

async function readAll<T>(
  dir: string,
  schema: { safeParse(value: unknown): { success: boolean; data?: T } },
): Promise<T[]> {
  const files = (await readdir(dir).catch(() => [])).filter((file) => file.endsWith('.json'));
  const read = await Promise.all(
    files.map(async (file) => {
      const text = await readFile(join(dir, file), 'utf8').catch(() => '');
      try {
        return schema.safeParse(JSON.parse(text)).data;
      } catch {
        return undefined;
      }
    }),
  );
  return read.filter((each) => each !== undefined);
}

/** Which snapshots are known to be verified and proven, and the newest of each, per repository. */
export async function knownLevels(
  state: StateDir,
  site: string,
  repository: string,
): Promise<{ verified: Set<string>; proven: Set<string> }> {
  const verified = new Set<string>();
  const proven = new Set<string>();
  for (const report of await readReports(state, site)) {
    for (const entry of report.repositories) {
      if (entry.repository === repository && entry.snapshot && entry.level && entry.level !== 'stored')
        verified.add(entry.snapshot);
    }
  }
  for (const proof of await readProofs(state, site)) {
    if (proof.repository === repository && proof.outcome === 'proven') proven.add(proof.snapshot);
  }
  return { verified, proven };
}
