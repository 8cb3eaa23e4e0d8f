import { createReadStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { Fingerprint } from '../../src/core/manifest.js';
import type { Context } from '../contracts.js';
import { writeDurable } from '../site/durable.js';
import { NoBolt, readBolt } from '../tools/bolt.js';
import { findProgram } from '../tools/programs.js';
import { SECTIONS, type Section } from '../tools/varasto-export.js';
import { type Format, fingerprintOfExport } from './http-forms.js';
import { copyFile } from './sqlite-forms.js';

/** Where an export goes that could not be imported here, beside the database that an import makes. */
export const besideDatabase = (path: string): string => `${path}.export`;

/** Varasto's name for the bucket of each section. */
const BUCKETS: Record<Section, string> = {
  Blob: 'blobs',
  Node: 'nodes',
  Client: 'clients',
  KeyEncryptionKey: 'keyencryptionkeys',
  ReplicationPolicy: 'replicationpolicies',
  Volume: 'volumes',
  VolumeMount: 'volumemounts',
  Directory: 'directories',
  Collection: 'collections',
  IntegrityVerificationJob: 'ivjobs',
  ScheduledJob: 'scheduledjobs',
  Config: 'config',
};

/**
 * Puts an export where a restore wants it: a text as it is; Varasto's through its own import into the database at `target`,
 * or, where the program `sto` is not installed, beside it for a person to import.
 */
export async function importExport(file: string, format: Format, target: string, ctx: Context): Promise<Fingerprint> {
  const print = await fingerprintOfExport(file, format, ctx);
  await rm(target, { force: true });
  if (format === 'text') await copyFile(file, target, undefined, ctx);
  else if (findProgram('sto')) await importWithSto(file, target, print, ctx);
  else {
    await copyFile(file, besideDatabase(target), undefined, ctx);
    ctx.note('the program sto is not installed here: the export was not imported, and lies beside as *.export');
  }
  return print;
}

/**
 * Into a new directory, as an import that fails leaves a stub that makes the next one fail; moved on success. Exit code 0
 * proves nothing (a cut export imports well), so the records of each bucket are counted.
 */
export async function importWithSto(file: string, target: string, print: Fingerprint, ctx: Context): Promise<void> {
  const dir = `${target}.import`;
  await rm(dir, { recursive: true, force: true });
  await mkdir(join(dir, '.config/varasto'), { recursive: true, mode: 0o700 });
  try {
    const made = join(dir, 'varasto.db');
    await writeDurable(join(dir, 'config.json'), JSON.stringify({ db_location: made }));
    await ctx.run('sto', ['server', 'dbimport'], { cwd: dir, env: { HOME: dir }, input: createReadStream(file) });
    const { tables } = await imported(made, ctx);
    const lost = SECTIONS.filter((section) => (tables[BUCKETS[section]] ?? 0) !== print.tables[section]);
    if (lost.length > 0)
      throw ctx.fail('DumpIncomplete', `sto imported another number of records: ${lost.join(', ')}`, {
        details: {
          tool: 'sto',
          places: lost.map((section) => `${section}: ${tables[BUCKETS[section]] ?? 0}, not ${print.tables[section]}`),
        },
      });
    await rename(made, target);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function imported(path: string, ctx: Context): Promise<{ tables: Record<string, number> }> {
  try {
    return { tables: (await readBolt(path, undefined, () => ctx.beat())).buckets };
  } catch (error) {
    if (isFailure(error)) throw error;
    const why = error instanceof NoBolt ? `: ${error.message}` : '';
    throw ctx.fail('DatabaseCorrupt', `sto made no good database${why}`, { details: { tool: 'sto', places: [path] } });
  }
}
