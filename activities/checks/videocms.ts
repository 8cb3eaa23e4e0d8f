import { dirname, join } from 'node:path';
import type { DatabaseEntry } from '../../src/core/manifest.js';
import type { AppChecks } from '../contracts.js';
import { checkedCopy, databasesAgainstManifest } from './databases-against-manifest.js';
import { filesAgainstList } from './files-against-list.js';
import { notMade } from './tally.js';
import { bootVideocms } from './videocms-boot.js';
import { mediaChecks, segmentsOf } from './videocms-media.js';
import { placesOf, type Videocms, withCaptured } from './videocms-rows.js';

const TABLES = ['files', 'links', 'qualities', 'audios', 'subtitles', 'upload_sessions'];
const OWN = ['videos', 'pending sources', 'playlists and segments', 'rendition sizes', 'subtitles', 'links'];

const database = ({ databases }: { databases: DatabaseEntry[] }) => databases.find(({ name }) => name === 'database');

/** VideoCMS: what its database refers to, and the rules by which a restored site is whole. */
export const videocmsChecks: AppChecks = {
  async *references({ manifest, file, plan }, ctx) {
    const entry = database(manifest);
    if (!entry) return;
    const places = placesOf(plan);
    async function* all(db: Videocms): AsyncGenerator<string> {
      for await (const row of db.videos()) {
        if (row.path) {
          if (places.options.includePendingSources) yield places.source(row.path);
        } else if (row.thumbnail) yield join(places.folder(row.uuid), row.thumbnail);
      }
      for await (const row of db.renditions()) {
        const output = join(places.rendition(row), row.output);
        yield output;
        if (row.kind !== 'subtitle') yield* (await segmentsOf(output)).map((name) => join(dirname(output), name));
      }
      for await (const row of db.links())
        if (row.thumbnail && row.file) yield join(places.folder(row.file), row.thumbnail);
    }
    yield* withCaptured(entry, file(entry.file), all, ctx);
  },

  async *extraFiles({ manifest, file, plan }, ctx) {
    const entry = database(manifest);
    const places = placesOf(plan);
    if (!entry || !places.options.includePendingSources) return;
    async function* sources(db: Videocms): AsyncGenerator<{ path: string; why: string }> {
      for await (const { path, uuid } of db.videos())
        if (path) yield { path: places.source(path), why: `video ${uuid} is not encoded yet` };
    }
    yield* withCaptured(entry, file(entry.file), sources, ctx);
  },

  async checks(restored, ctx) {
    const checks = [...(await databasesAgainstManifest(restored, ctx)), ...(await filesAgainstList(restored, ctx))];
    const entry = database(restored.manifest);
    // A database that cannot be read, or that lacks the tables, would make every rule below hold of nothing.
    const readable = checks.find(({ name }) => name === 'database: integrity')?.ok === true;
    const missing = checks
      .find(({ name }) => name === 'database: tables')
      ?.places?.filter((place) => TABLES.some((table) => place === `missing: ${table}`));
    if (!entry || !readable || (missing?.length ?? 0) > 0) {
      const why = readable ? (missing?.join(', ') ?? '') : 'the database cannot be read';
      return [...checks, ...OWN.map((name) => notMade(name, why))];
    }
    return [...checks, ...(await mediaChecks(checkedCopy(entry, restored), restored, ctx))];
  },

  boot: bootVideocms,
};
