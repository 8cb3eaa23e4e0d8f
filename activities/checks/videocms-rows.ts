import { rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import { VideocmsOptions, videocmsPlaces } from '../../src/apps/videocms.js';
import type { DatabaseEntry } from '../../src/core/manifest.js';
import type { Plan } from '../../src/core/plan.js';
import { freshDir, workOf } from '../capture/workdir.js';
import type { Context } from '../contracts.js';
import { databases } from '../databases/index.js';
import { rows } from '../tools/sqlite.js';

/** Rows of VideoCMS as the checks need them, each query streamed. Deleted rows dangle by design: only live ones count. */

export interface VideoRow {
  uuid: string;
  folder: string;
  thumbnail: string | null;
  /** Not empty: the original in uploads is still needed, as not every rendition is ready. */
  path: string | null;
}

export interface RenditionRow {
  kind: 'quality' | 'audio' | 'subtitle';
  uuid: string;
  folder: string;
  path: string;
  output: string;
  /** Bytes of its folder; qualities only. */
  size: number | null;
}

export interface LinkRow {
  uuid: string;
  thumbnail: string | null;
  file: string | null;
}

const live = (table: string) => `${table}.deleted_at IS NULL`;

const rendition = (kind: RenditionRow['kind'], table: string, size: string) =>
  `SELECT json_object('kind', '${kind}', 'uuid', f.uuid, 'folder', f.folder, 'path', t.path, 'output', t.output_file, 'size', ${size})
   FROM ${table} t JOIN files f ON f.id = t.file_id WHERE t.ready = 1 AND ${live('t')} AND ${live('f')}`;

export const QUERIES = {
  videos: `SELECT json_object('uuid', uuid, 'folder', folder, 'thumbnail', thumbnail, 'path', path) FROM files WHERE deleted_at IS NULL`,
  renditions: [
    rendition('quality', 'qualities', 't.size'),
    rendition('audio', 'audios', 'NULL'),
    rendition('subtitle', 'subtitles', 'NULL'),
  ].join(' UNION ALL '),
  links: `SELECT json_object('uuid', l.uuid, 'thumbnail', l.thumbnail, 'file', f.uuid)
   FROM links l LEFT JOIN files f ON f.id = l.file_id AND ${live('f')} WHERE ${live('l')}`,
  unfinished: `SELECT json_object('n', count(*)) FROM upload_sessions WHERE deleted_at IS NULL AND status IN ('created', 'uploading', 'uploaded')`,
};

export interface Videocms {
  videos(): AsyncGenerator<VideoRow>;
  renditions(): AsyncGenerator<RenditionRow>;
  links(): AsyncGenerator<LinkRow>;
  unfinished(): Promise<number>;
}

/** Reads a database that nothing writes: a capture, or a restored copy. */
export function readVideocms(path: string, ctx: Context): Videocms {
  return {
    videos: () => rows<VideoRow>(path, QUERIES.videos, 'frozen', ctx),
    renditions: () => rows<RenditionRow>(path, QUERIES.renditions, 'frozen', ctx),
    links: () => rows<LinkRow>(path, QUERIES.links, 'frozen', ctx),
    unfinished: async () => {
      for await (const { n } of rows<{ n: number }>(path, QUERIES.unfinished, 'frozen', ctx)) return n;
      return 0;
    },
  };
}

/** Where on the host a row's files lie. Paths in rows are those of the program's own directory, perhaps inside a container. */
export function placesOf(plan: Plan) {
  const options = VideocmsOptions.parse(plan.options);
  const { database, media, uploads } = videocmsPlaces(plan.root, options);
  const folder = (uuid: string) => join(media, basename(uuid));
  return {
    options,
    database,
    media,
    folder,
    rendition: ({ uuid, folder: own, path }: RenditionRow) => {
      const below = resolve(folder(uuid), path.startsWith(`${own}/`) ? path.slice(own.length + 1) : basename(path));
      return isWithin(below, folder(uuid)) ? below : folder(uuid);
    },
    /** Whatever the row says, never outside the uploads. */
    source: (path: string) => {
      const place = resolve(plan.root, path);
      return isWithin(place, uploads) && place !== uploads ? place : join(uploads, basename(path));
    },
  };
}

/** Gives a readable database of a capture: the file itself, or its SQL text loaded for as long as `use` goes on. */
export async function* withCaptured<T>(
  entry: DatabaseEntry,
  file: string,
  use: (db: Videocms) => AsyncGenerator<T>,
  ctx: Context,
): AsyncGenerator<T> {
  if (entry.format === 'file') return yield* use(readVideocms(file, ctx));
  const scratch = await freshDir(workOf(ctx));
  try {
    const target = join(scratch, 'loaded.sqlite');
    await databases.sqlite.load(file, entry.format, target, ctx);
    yield* use(readVideocms(target, ctx));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
