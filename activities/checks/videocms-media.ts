import { lstat, opendir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Check } from '../../src/core/report.js';
import { writeLines } from '../capture/lines.js';
import type { Context, Restored } from '../contracts.js';
import { rows } from '../tools/sqlite.js';
import { eachLimited, tally } from './tally.js';
import { placesOf, type RenditionRow, readVideocms } from './videocms-rows.js';

const bytesOf = async (path: string): Promise<number | undefined> => {
  const stats = await lstat(path).catch(() => undefined);
  return stats?.isFile() ? stats.size : undefined;
};
const isDirectory = async (path: string) => (await lstat(path).catch(() => undefined))?.isDirectory() === true;

/** VideoCMS's own rules: every live row has its files, in full. `database` is a copy that may be read freely. */
export async function mediaChecks(database: string, restored: Restored, ctx: Context): Promise<Check[]> {
  return [
    ...(await videos(database, restored, ctx)),
    ...(await renditions(database, restored, ctx)),
    await links(database, restored, ctx),
    await foldersWithoutRow(database, restored, ctx),
  ];
}

async function videos(database: string, restored: Restored, ctx: Context): Promise<Check[]> {
  const { options, folder, source } = placesOf(restored.plan);
  const [found, pending] = [tally(), tally()];
  await eachLimited(readVideocms(database, ctx).videos(), async (row) => {
    // Until its encoding is done, a video may have no folder yet.
    if (!row.path) {
      const place = folder(row.uuid);
      const needs = row.thumbnail ? [join(place, row.thumbnail)] : [];
      if (!(await isDirectory(restored.relocate(place)))) found.bad(`${place}: no folder`);
      else if (await allThere(needs, restored)) found.good();
      else found.bad(`${needs[0]}: no thumbnail`);
    }
    if (row.path && options.includePendingSources) {
      if (await allThere([source(row.path)], restored)) pending.good();
      else pending.bad(source(row.path));
    }
    ctx.beat();
  });
  const unfinished = await readVideocms(database, ctx).unfinished();
  const rest = unfinished > 0 ? `; ${unfinished} unfinished uploads begin anew` : '';
  return [
    found.check('videos', (seen) => `${seen} videos have their folder and thumbnail`),
    options.includePendingSources
      ? pending.check('pending sources', (seen) => `${seen} originals that are still needed are there${rest}`)
      : { name: 'pending sources', ok: true, evidence: `left out by configuration${rest}` },
  ];
}

async function allThere(paths: string[], { relocate }: Restored): Promise<boolean> {
  for (const path of paths) if (!(await bytesOf(relocate(path)))) return false;
  return true;
}

async function renditions(database: string, restored: Restored, ctx: Context): Promise<Check[]> {
  const places = placesOf(restored.plan);
  const [segments, sizes, subtitles] = [tally(), tally(), tally()];
  let playlists = 0;
  await eachLimited(readVideocms(database, ctx).renditions(), async (row) => {
    const folder = places.rendition(row);
    const output = join(folder, row.output);
    if (row.kind === 'subtitle') {
      if (await allThere([output], restored)) subtitles.good();
      else subtitles.bad(output);
    } else {
      playlists++;
      await playlist(output, restored, segments);
    }
    if (row.kind === 'quality') await size(row, folder, restored, sizes);
    ctx.beat();
  });
  return [
    segments.check(
      'playlists and segments',
      (seen) => `${playlists} playlists, ${seen - playlists} segments, none empty`,
      (bad) => `${bad} playlists or segments are missing or empty`,
    ),
    sizes.check('rendition sizes', (seen) => `${seen} renditions have exactly the bytes that their rows say`),
    subtitles.check('subtitles', (seen) => `${seen} subtitles are there`),
  ];
}

/** What a playlist names; nothing where there is no playlist. */
export async function segmentsOf(playlist: string): Promise<string[]> {
  const text = await readFile(playlist, 'utf8').catch(() => '');
  return text.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('#'));
}

async function playlist(path: string, restored: Restored, segments: ReturnType<typeof tally>): Promise<void> {
  const names = await segmentsOf(restored.relocate(path));
  if (names.length === 0) return segments.bad(`${path}: missing, or names no segment`);
  segments.good();
  for (const name of names) {
    const segment = join(dirname(path), name);
    if (await bytesOf(restored.relocate(segment))) segments.good();
    else segments.bad(segment);
  }
}

async function size(
  row: RenditionRow,
  folder: string,
  restored: Restored,
  sizes: ReturnType<typeof tally>,
): Promise<void> {
  let bytes = 0;
  for (const name of await readdir(restored.relocate(folder)).catch(() => []))
    bytes += (await bytesOf(restored.relocate(join(folder, name)))) ?? 0;
  if (bytes === row.size) sizes.good();
  else sizes.bad(`${folder}: ${bytes} bytes, its row says ${row.size}`);
}

async function links(database: string, restored: Restored, ctx: Context): Promise<Check> {
  const { folder } = placesOf(restored.plan);
  const found = tally();
  await eachLimited(readVideocms(database, ctx).links(), async (row) => {
    if (row.file === null) found.bad(`link ${row.uuid} leads to no video`);
    else if (row.thumbnail && !(await allThere([join(folder(row.file), basename(row.thumbnail))], restored)))
      found.bad(`${join(folder(row.file), row.thumbnail)}: no poster`);
    else found.good();
    ctx.beat();
  });
  return found.check('links', (seen) => `${seen} links lead to a video, with their own posters`);
}

/** Reported, never failed: VideoCMS makes a folder before its row, and removes a row before its folder. */
async function foldersWithoutRow(database: string, restored: Restored, ctx: Context): Promise<Check> {
  const names = join(restored.scratch, 'folders.txt');
  let count = 0;
  async function* folders() {
    const dir = await opendir(restored.relocate(placesOf(restored.plan).media)).catch(() => undefined);
    for await (const entry of dir ?? []) {
      if (!entry.isDirectory()) continue;
      count++;
      yield entry.name.replaceAll('\n', '?');
    }
  }
  await writeFile(names, '');
  await writeLines(names, folders());
  // The program joins the two on disk, so that a million folders need no memory here.
  const query = `CREATE TEMP TABLE found(name);\n.separator "\\001" "\\n"\n.import '${names}' found\nSELECT json_object('name', name) FROM found WHERE name NOT IN (SELECT uuid FROM files WHERE uuid IS NOT NULL)`;
  const places: string[] = [];
  let orphans = 0;
  for await (const { name } of rows<{ name: string }>(database, query, 'frozen', ctx)) {
    orphans++;
    if (places.length < 20) places.push(name);
  }
  const evidence =
    orphans === 0 ? `each of ${count} folders has its row` : `${orphans} of ${count} folders have no row`;
  return { name: 'folders without a row', ok: true, evidence, ...(orphans > 0 ? { places } : {}) };
}
