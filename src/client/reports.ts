import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Proof, Report } from '../core/report.js';

/** What a host's state directory tells without a worker and without Temporal. Nothing here creates or changes anything. */

export interface SiteState {
  /** Oldest first. */
  reports: Report[];
  /** Oldest first. */
  proofs: Proof[];
  /** Absent where the site was never held on this host. */
  record?: RecordState;
  /** What restores in place and rollbacks have put aside and nobody dropped yet. */
  aside: Aside[];
  /** Files that are there and cannot be read, so that their silence is not taken for "all is well". */
  unreadable: string[];
}

/** A tree that is kept beside the site for a while: the state from before a restore, or what a guarded change had made. */
export interface Aside {
  at: string;
  path: string;
  kind?: 'rolled-back';
  /** Put aside in their servers. */
  databases?: unknown[];
}

/** What the site record says of the application. */
export interface RecordState {
  phase: string;
  downAt?: string;
  holder?: string;
  revokedFor?: string;
  /** Why the last attempt to bring it up failed. */
  failed?: { at: string; said: string };
}

export async function readSite(dir: string, site: string): Promise<SiteState> {
  const unreadable: string[] = [];
  const [reports, proofs, record, aside] = await Promise.all([
    readAll(join(dir, 'reports', site), Report, unreadable),
    readAll(join(dir, 'proofs', site), Proof, unreadable),
    readRecord(join(dir, 'sites', site, 'record.json'), unreadable),
    readJson(join(dir, 'sites', site, 'aside.json')),
  ]);
  return {
    reports: reports.sort((a, b) => a.startedAt.localeCompare(b.startedAt)),
    proofs: proofs.sort((a, b) => a.provenAt.localeCompare(b.provenAt)),
    // Noted before the first rename: a change that was not rolled back has put nothing there.
    aside: Array.isArray(aside) ? aside.filter(({ path, databases }) => databases?.length || existsSync(path)) : [],
    unreadable,
    ...(record ? { record } : {}),
  };
}

/** The same runs from the host's files and from Temporal: each once, the finished one before the unfinished. Oldest first. */
export function mergeReports(...sources: Report[][]): Report[] {
  const merged = new Map<string, Report>();
  for (const report of sources.flat()) {
    const before = merged.get(report.runId);
    if (!before || (!before.endedAt && report.endedAt)) merged.set(report.runId, report);
  }
  return [...merged.values()].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}

async function readAll<T>(
  dir: string,
  schema: { safeParse(value: unknown): { data?: T } },
  unreadable: string[],
): Promise<T[]> {
  const names = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') unreadable.push(dir);
    return [];
  });
  const files = names.filter((name) => name.endsWith('.json')).map((name) => join(dir, name));
  const read = await Promise.all(
    files.map(async (file) => {
      const data = schema.safeParse(await readJson(file)).data;
      if (data === undefined) unreadable.push(file);
      return data;
    }),
  );
  return read.filter((one) => one !== undefined);
}

async function readRecord(file: string, unreadable: string[]): Promise<RecordState | undefined> {
  const value = await readJson(file);
  if (value === undefined) return undefined;
  if (typeof value !== 'object' || value === null || !('phase' in value)) {
    unreadable.push(file);
    return undefined;
  }
  const { phase, downAt, revokedFor, failed, holder } = value as RecordState & { holder?: { workflowId?: string } };
  return {
    phase,
    ...(downAt ? { downAt } : {}),
    ...(revokedFor ? { revokedFor } : {}),
    ...(failed ? { failed } : {}),
    ...(holder?.workflowId ? { holder: holder.workflowId } : {}),
  };
}

/** Undefined where there is no such file; null where it cannot be read or is no JSON. */
async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : null;
  }
}
