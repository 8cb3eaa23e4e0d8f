import { open, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { FileSetSpec } from '../../src/core/plan.js';
import { places } from '../capture/places.js';
import { matcher } from '../capture/walk.js';
import type { Context } from '../contracts.js';
import { openBy } from '../tools/open-files.js';

/** Names worth a look: only these files are opened. */
const NAMES = ['*.sqlite', '*.sqlite3', '*.db', '*.db3', '*-wal', '*.bolt', '*.boltdb', 'ibdata1', 'PG_VERSION'];

/** Directories of servers, which are refused everywhere. */
const SERVERS = ['MySQL', 'PostgreSQL'];

/** So many places to one call: an argument list has an end. */
const BATCH = 200;

/**
 * Refuses plain file sets that hold live database files: copied as files they come back empty or broken, and nothing
 * would say so. A closed SQLite file without a WAL is an ordinary file. Accounts of others may hold embedded databases: those are said. Throws LiveDatabaseInFiles, naming them.
 */
export async function findLiveDatabases(sets: FileSetSpec[], ctx: Context): Promise<void> {
  const found: string[] = [];
  for (const set of sets) {
    if (!(await stat(set.root).catch(() => undefined))) continue;
    const wanted = matcher(set);
    const candidates: string[] = [];
    const names = NAMES.flatMap((name, i) => [...(i > 0 ? ['-o'] : []), '-name', name]);
    const all = (await places(set)).map((place) => join(set.root, place));
    for (let i = 0; i < all.length; i += BATCH) {
      await ctx.run('find', [...all.slice(i, i + BATCH), '-type', 'f', '(', ...names, ')', '-print'], {
        // 1: a directory vanished or may not be read; preflight says so of the set itself.
        ok: [0, 1],
        onLine: (path) => {
          if (wanted(relative(set.root, path))) candidates.push(path);
        },
      });
    }
    const small: string[] = [];
    for (const path of candidates) {
      const kind = await liveKind(path, !set.parts);
      if (kind && set.parts && !SERVERS.includes(kind)) small.push(relative(set.root, path));
      else if (kind) found.push(`${set.name}: ${relative(set.root, path)} (${kind})`);
      ctx.beat();
    }
    // Hundreds of people keep what they like in their accounts: that of one must not end everybody's backup.
    if (small.length > 0)
      ctx.note(
        `${set.name}: ${small.length} embedded databases are copied as they lie, as after a power cut: ${small.slice(0, 3).join(', ')}`,
      );
  }
  if (found.length === 0) return;
  const more = found.length > 1 ? ` and ${found.length - 1} more` : '';
  throw ctx.fail('LiveDatabaseInFiles', `a live database is among the files: ${found[0]}${more}`, {
    details: { places: found.slice(0, 20) },
  });
}

async function liveKind(path: string, mayBeOpen: boolean): Promise<string | undefined> {
  const head = await headOf(path);
  if (path.endsWith('/PG_VERSION'))
    return (await stat(join(dirname(path), 'base')).catch(() => undefined)) ? 'PostgreSQL' : undefined;
  if (path.endsWith('/ibdata1')) return 'MySQL';
  // bbolt: the first page is a meta page, its magic follows the page header.
  if (head.length >= 20 && head.readUInt32LE(16) === 0xed0cdaed) return 'bolt';
  if (head.length >= 4 && [0x377f0682, 0x377f0683].includes(head.readUInt32BE(0))) return 'SQLite log';
  if (!head.toString('latin1').startsWith('SQLite format 3\0')) return undefined;
  for (const suffix of ['-wal', '-journal']) {
    if ((await stat(path + suffix).catch(() => undefined))?.size) return 'SQLite';
  }
  return mayBeOpen && (await openBy([path])).length > 0 ? 'SQLite' : undefined;
}

async function headOf(path: string): Promise<Buffer> {
  const file = await open(path).catch(() => undefined);
  if (!file) return Buffer.alloc(0);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
