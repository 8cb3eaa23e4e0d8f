import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { withDirIn, workOf } from '../capture/workdir.js';
import type { Context, Database, Dumped } from '../contracts.js';
import { syncDirectory } from '../site/durable.js';
import { ask, type HttpSpec, write } from './http-fetch.js';
import { endsWith, type Format, fingerprintOfExport } from './http-forms.js';
import { importExport } from './http-import.js';
import { exportedFiles, listedFiles, moreElsewhere, same } from './http-witness.js';

const TRIES = 3;
/** Two of so many end with another section, by all that chance allows. */
const TRIES_CUT = 6;

/** What an application exports of itself over HTTP, while it runs. `varasto` is read and counted; of a `text` only its end is known. */
export const httpDatabase: Database<HttpSpec> = {
  kind: 'http',

  async preflight(spec, ctx) {
    const told = await answers(spec, ctx);
    const file = spec.path === undefined ? 0 : await sizeOf(spec.path);
    if (spec.path !== undefined && file === 0)
      ctx.note(
        `there is no ${spec.path}: a restore in place would put ${spec.name} there; correct it if it is elsewhere`,
      );
    // JSON takes more room than the database that it is made of.
    return { bytes: Math.max(told, 2 * file, 1), tools: {} };
  },

  async dump(spec, dir, _fence, ctx) {
    const file = `${spec.name}.${spec.format === 'varasto' ? 'export' : 'txt'}`;
    const target = join(dir, file);
    const partial = `${target}.partial`;
    for (const path of [target, partial]) await rm(path, { force: true });
    const { bytes, sha256, fingerprint } = await taken(spec, partial, ctx).catch(async (error) => {
      await rm(partial, { force: true });
      throw error;
    });
    await rename(partial, target);
    await syncDirectory(dir);
    return { file, bytes, sha256, fingerprint, consistency: 'full', ...(await ownerOf(spec)) };
  },

  async live(spec, ctx) {
    // It may hold keys in clear: in the state directory, which nobody else can enter, and only for as long as it is read.
    return withDirIn(workOf(ctx), async (dir) => (await taken(spec, join(dir, 'export'), ctx)).fingerprint);
  },

  inspect: (file, format, ctx) => fingerprintOfExport(file, format as Format, ctx),

  load: (file, format, target, ctx) => importExport(file, format as Format, target, ctx),

  sidecars: () => [],
};

/** Token, certificate and address are right; the bytes of a whole answer, where they are told. */
async function answers(spec: HttpSpec, ctx: Context): Promise<number> {
  // An export that is broken off is an error in Varasto's log: its list of files takes the same token, and is read to its end.
  if (spec.format === 'varasto' && (await listedFiles(spec, ctx))) return 0;
  const answer = await ask(spec, spec.url, ctx);
  answer.destroy();
  return Number(answer.headers['content-length'] ?? 0);
}

type Taken = Pick<Dumped, 'bytes' | 'sha256' | 'fingerprint'>;

/**
 * Fetches the export and proves it whole. Where the application changed meanwhile it is taken again, so that its list of files belongs to it.
 * One whose records refer to what it lacks was cut, or the application's data are like that: those come again with another section at the end.
 * What nothing refers to is counted in a second export.
 */
async function taken(spec: HttpSpec, target: string, ctx: Context): Promise<Taken> {
  if (spec.format === 'text') return once(spec, target, ctx);
  const ends = new Map<string, string>();
  for (let n = 1; ; n++) {
    const before = await listedFiles(spec, ctx);
    const result = await once(spec, target, ctx);
    const { files, lacks, last } = await exportedFiles(target, ctx);
    const after = before && (await listedFiles(spec, ctx));
    const agree = !before || same(before, files) || (after && same(after, files));
    if (!agree && after && same(before, after))
      throw ctx.fail(
        'DumpIncomplete',
        `the export of ${spec.name} has ${files.lines} files, and the application lists ${after.lines}`,
      );
    const content = result.fingerprint.contentSha256 ?? '';
    const cut = lacks !== undefined && (ends.get(content) ?? last) === last;
    if (agree && !cut) {
      const have = result.fingerprint.tables[last] ?? 0;
      // Two that agree and end with another section have shown it already.
      const more = lacks === undefined ? await moreElsewhere(spec, last, have, ctx) : undefined;
      if (lacks !== undefined)
        ctx.note(`${spec.name}'s own data refer to a record that is not there (${lacks}): exports agree in that`);
      if (more === undefined) return result;
      if (n < TRIES_CUT) continue;
      throw wasCut(spec, `it has ${have} records of ${last}, another one ${more}`, ctx);
    }
    if (lacks !== undefined) ends.set(content, last);
    if (n < (cut ? TRIES_CUT : TRIES)) continue;
    if (cut) throw wasCut(spec, `it lacks ${lacks.slice(0, 40)}`, ctx);
    ctx.note(`${spec.name} changed during each of ${TRIES} exports: its files could not be compared with its list`);
    return result;
  }
}

function wasCut({ name }: HttpSpec, why: string, ctx: Context): Error {
  const advice = 'look at what is between here and Varasto';
  return ctx.fail('DumpIncomplete', `the export of ${name} was cut: ${why}`, { advice });
}

async function once(spec: HttpSpec, target: string, ctx: Context): Promise<Taken> {
  await rm(target, { force: true });
  const written = await write(spec, await ask(spec, spec.url, ctx), target, ctx);
  const fingerprint = await fingerprintOfExport(target, spec.format, ctx);
  if (spec.ends !== undefined) await endsWith(target, spec.ends, spec.name, ctx);
  const records = Object.values(fingerprint.tables).reduce((sum, rows) => sum + rows, 0);
  if (spec.format === 'varasto' && records === 0)
    throw ctx.fail('DumpEmpty', `the export of ${spec.name} has no record`);
  return { ...written, fingerprint };
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0;

/** The database that a restore makes belongs to whom the live one belongs. */
async function ownerOf({ path }: HttpSpec): Promise<Pick<Dumped, 'mode' | 'uid' | 'gid'>> {
  const stats = path === undefined ? undefined : await stat(path).catch(() => undefined);
  return stats ? { mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid } : {};
}
