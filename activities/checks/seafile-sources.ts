import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type SeafileOptions, seafilePlaces } from '../../src/apps/seafile.js';
import type { DatabaseEntry, Manifest } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import { freshDir, workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import { gatherRows, type Sources } from './seafile-rows.js';

/** The options of a plan: its parse has filled them in. */
export const optionsOf = (plan: Plan) => plan.options as unknown as SeafileOptions;

/** Where a site's libraries lie: the plan has looked, so its file set tells. */
export function storageOf(plan: Plan): string {
  const { storage } = seafilePlaces(plan.root, optionsOf(plan));
  return plan.fileSets.find(({ name }) => name === 'libraries')?.root ?? storage;
}

const named = ({ databases: all }: Pick<Manifest, 'databases'>, name: string) =>
  all.find((entry) => entry.name === name);

/** The entries that hold libraries and accounts: one dump of a server, or two SQLite databases. */
export function entriesOf(manifest: Pick<Manifest, 'databases'>): { seafile?: DatabaseEntry; ccnet?: DatabaseEntry } {
  const seafile = named(manifest, 'seafile');
  const ccnet = seafile?.kind === 'mysql' ? seafile : named(manifest, 'usermgr');
  return { ...(seafile ? { seafile } : {}), ...(ccnet ? { ccnet } : {}) };
}

/** `fileOf`: a readable SQLite file of an entry, or the text of a server's dump. */
export async function sourcesOf(
  { seafile, ccnet }: { seafile: DatabaseEntry; ccnet: DatabaseEntry },
  plan: Plan,
  fileOf: (entry: DatabaseEntry) => string | Promise<string>,
): Promise<Sources> {
  const file = await fileOf(seafile);
  if (seafile.kind !== 'mysql') return { seafile: { file }, ccnet: { file: await fileOf(ccnet) } };
  const { schemas } = optionsOf(plan).mysql ?? {};
  return {
    seafile: { dump: file, schema: schemas?.seafile ?? 'seafile_db' },
    ccnet: { dump: file, schema: schemas?.ccnet ?? 'ccnet_db' },
  };
}

/** Gives the rows of a capture for as long as `use` goes on: SQL texts are loaded, in a directory that goes again. */
export async function* withCapturedRows<T>(
  capture: { manifest: Manifest; plan: Plan; file: (relative: string) => string },
  use: (rows: string, scratch: string) => AsyncGenerator<T>,
  ctx: Context,
): AsyncGenerator<T> {
  const { seafile, ccnet } = entriesOf(capture.manifest);
  if (!seafile || !ccnet) throw ctx.fail('DatabaseMissing', 'the capture has no database of libraries and accounts');
  const scratch = await freshDir(workOf(ctx));
  try {
    const sources = await sourcesOf({ seafile, ccnet }, capture.plan, async (entry) => {
      const dump = capture.file(entry.file);
      if (entry.kind === 'mysql') return dump;
      const loaded = join(scratch, `${entry.name}.sqlite`);
      await databases.sqlite.load(dump, entry.format, loaded, ctx);
      return loaded;
    });
    yield* use(await gatherRows(sources, scratch, ctx), scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** What conf/seafile.conf says of its databases; undefined where it says nothing (the environment does, since version 13). */
export async function configuredKind({ root }: Plan): Promise<'sqlite' | 'mysql' | undefined> {
  for (const top of ['', 'seafile']) {
    const text = await readFile(join(root, top, 'conf/seafile.conf'), 'utf8').catch(() => '');
    const section = /^\[database\]\s*$([^[]*)/m.exec(text)?.[1] ?? '';
    const type = /^\s*type\s*=\s*(\w+)/m.exec(section)?.[1]?.toLowerCase();
    if (type === 'sqlite' || type === 'mysql') return type;
  }
  return undefined;
}
