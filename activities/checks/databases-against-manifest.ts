import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { DatabaseEntry, Fingerprint } from '../../src/core/manifest.js';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Check } from '../../src/core/report.js';
import { ABOUT } from '../capture/arrange.js';
import { sha256Of } from '../capture/lines.js';
import type { Context, Restored } from '../contracts.js';
import { databases } from '../databases/index.js';
import { notMade } from './tally.js';

/** What a bad backup does; anything else (a full disk, a cancellation) says nothing about it. */
const BAD = ['DatabaseCorrupt', 'DatabaseMissing', 'DumpIncomplete', 'DumpEmpty', 'ToolFailed'] as const;

const FOUND: Record<string, string> = { sqlite: 'integrity_check found nothing' };

const inServer = ({ path, kind }: DatabaseEntry) => path === undefined || kind === 'http';

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size;

/** The loaded copy of a database that the checks read: the restored tree itself stays as it is. */
export const checkedCopy = (entry: DatabaseEntry, restored: Restored): string =>
  join(restored.scratch, `${entry.name}.checked`);

/**
 * Each database against its manifest: bytes, nothing stale beside it, integrity, tables, rows. `integrity_check` alone
 * proves nothing: without its WAL a database may be empty and pass.
 */
export async function databasesAgainstManifest(restored: Restored, ctx: Context): Promise<Check[]> {
  const checks: Check[] = [];
  for (const entry of restored.manifest.databases) checks.push(...(await oneDatabase(entry, restored, ctx)));
  return checks;
}

async function oneDatabase(entry: DatabaseEntry, restored: Restored, ctx: Context): Promise<Check[]> {
  const { name } = entry;
  const part = databases[entry.kind as DatabaseSpec['kind']];
  // What an export was imported into is another database each time: the export itself is looked at.
  const served = inServer(entry);
  const place = served ? join(restored.root, ABOUT, entry.file) : restored.relocate(entry.path ?? '');
  if ((await sizeOf(place)) === undefined)
    return [
      { name: `${name}: file`, ok: false, evidence: 'the database is missing', places: [entry.path ?? entry.file] },
    ];
  const sidecars = part.sidecars(place);
  const checks = [await sameBytes(entry, place), ...(sidecars.length > 0 ? [await nothingStale(entry, sidecars)] : [])];
  let print: Fingerprint;
  try {
    print = await part.load(place, served ? entry.format : 'file', checkedCopy(entry, restored), ctx);
    checks.push({
      name: `${name}: integrity`,
      ok: true,
      evidence: FOUND[entry.kind] ?? 'it loads, and was read through',
    });
  } catch (error) {
    const checked = ['integrity', 'tables', 'rows'];
    if (isFailure(error, 'ToolMissing'))
      return [...checks, ...checked.map((what) => notMade(`${name}: ${what}`, error.message))];
    if (!isFailure(error, ...BAD)) throw error;
    const { places } = (error.details?.[0] ?? {}) as { places?: string[] };
    const why = { ok: false, evidence: error.message.split('; ')[0] ?? '' };
    checks.push({ name: `${name}: integrity`, ...why, ...(places ? { places: places.slice(0, 20) } : {}) });
    return [...checks, ...['tables', 'rows'].map((what) => notMade(`${name}: ${what}`, 'the database cannot be read'))];
  }
  return [...checks, sameTables(entry, print), sameRows(entry, print)];
}

async function sameBytes(entry: DatabaseEntry, place: string): Promise<Check> {
  const name = `${entry.name}: file`;
  const bytes = (await sizeOf(place)) ?? 0;
  // A database loaded from SQL text has bytes of its own.
  if (entry.format !== 'file' && !inServer(entry))
    return { name, ok: bytes > 0, evidence: `${bytes} bytes, loaded from its text` };
  const sha256 = await sha256Of(place);
  const ok = sha256 === entry.sha256 && bytes === entry.bytes;
  const evidence = ok
    ? `${bytes} bytes, SHA-256 ${sha256.slice(0, 12)}…, as in the manifest`
    : `${bytes} bytes with SHA-256 ${sha256.slice(0, 12)}…; the manifest says ${entry.bytes} with ${entry.sha256.slice(0, 12)}…`;
  return { name, ok, evidence, ...(ok ? {} : { places: [entry.path ?? entry.file] }) };
}

/** A log of another time beside a restored database is replayed silently, or breaks it. */
async function nothingStale(entry: DatabaseEntry, sidecars: string[]): Promise<Check> {
  const stale: string[] = [];
  for (const path of sidecars) if (((await sizeOf(path)) ?? 0) > 0) stale.push(path);
  const name = `${entry.name}: nothing beside it`;
  return stale.length === 0
    ? { name, ok: true, evidence: 'no -wal, -shm or -journal of another time' }
    : {
        name,
        ok: false,
        evidence: `${stale.length} stale files would change the database when it is opened`,
        places: stale,
      };
}

function sameTables({ name, fingerprint }: DatabaseEntry, print: Fingerprint): Check {
  const [want, have] = [Object.keys(fingerprint.tables), Object.keys(print.tables)];
  const places = [
    ...want.filter((table) => !(table in print.tables)).map((table) => `missing: ${table}`),
    ...have.filter((table) => !(table in fingerprint.tables)).map((table) => `unexpected: ${table}`),
    ...(print.schemaSha256 === fingerprint.schemaSha256 ? [] : ['the schema is another one']),
    ...(print.userVersion === fingerprint.userVersion
      ? []
      : [`user_version is ${print.userVersion}, not ${fingerprint.userVersion}`]),
  ];
  const versions = `${have.length} tables, schema ${print.schemaSha256.slice(0, 8)}, user_version ${print.userVersion}`;
  return places.length === 0
    ? { name: `${name}: tables`, ok: true, evidence: `${versions}, as in the manifest` }
    : {
        name: `${name}: tables`,
        ok: false,
        evidence: `${have.length} tables, the manifest has ${want.length}: ${places[0]}`,
        places: places.slice(0, 20),
      };
}

function sameRows({ name, fingerprint }: DatabaseEntry, print: Fingerprint): Check {
  const sum = (tables: Record<string, number>) => Object.values(tables).reduce((all, n) => all + n, 0);
  const places = Object.entries(fingerprint.tables)
    .filter(([table, rows]) => print.tables[table] !== rows)
    .map(([table, rows]) => `${table}: ${print.tables[table] ?? 'no table'}, not ${rows}`);
  if (places.length === 0 && print.contentSha256 !== fingerprint.contentSha256)
    places.push('as many records, and not the same ones');
  const [have, want] = [sum(print.tables), sum(fingerprint.tables)];
  return places.length === 0
    ? { name: `${name}: rows`, ok: true, evidence: `${have} rows, as in the manifest` }
    : {
        name: `${name}: rows`,
        ok: false,
        evidence: `${have} rows, the manifest has ${want}: ${places[0]}`,
        places: places.slice(0, 20),
      };
}
