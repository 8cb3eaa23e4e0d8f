#!/usr/bin/env node
// Makes a VideoCMS site: node seed.mjs --dir DIR [--videos 12] [--mb 40]. The same arguments give the same site.
import { createCipheriv, createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openDatabase, sql } from './database.mjs';

const at = '2026-11-21 09:23:15+00:00';
const THUMBNAIL_BYTES = 4_096;
const SEGMENTS = 4;

/** A UUID that depends on its name alone. */
function uuid(name) {
  const hex = createHash('sha256').update(name).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Bytes that depend on their name alone, and that nothing can compress. */
function noise(name, size) {
  const key = createHash('sha256').update(name).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** Makes the site below `dir` (created where it is not there) and returns what it holds. */
export async function seed({ dir, videos = 12, mb = 40 }) {
  const media = join(dir, 'videos/qualitys');
  const uploads = join(dir, 'videos/uploads/tus');
  for (const each of [join(dir, 'database'), media, uploads, join(dir, 'logs')]) mkdirSync(each, { recursive: true });
  const db = openDatabase(join(dir, 'database/database.sqlite'), { create: true });
  const done = { files: 0, bytes: 0, rows: 0 };
  const insert = async (table, row) => {
    const dated = table === 'tag_links' ? row : { created_at: at, updated_at: at, ...row };
    const back = table === 'tag_links' ? 'link_id' : 'id';
    const values = Object.values(dated).map(sql).join(',');
    const [made] = await db.query(`INSERT INTO ${table} (${Object.keys(dated)}) VALUES (${values}) RETURNING ${back}`);
    if (!made) throw new Error(`a row could not be added to ${table}`);
    done.rows++;
    return made[back];
  };
  const write = (path, content) => {
    writeFileSync(path, content);
    done.files++;
    done.bytes += content.length;
    return content.length;
  };
  /** A playlist and its segments; returns their bytes. */
  const stream = (folder, playlist, prefix, size) => {
    mkdirSync(folder, { recursive: true });
    const lines = ['#EXTM3U', '#EXT-X-VERSION:6', '#EXT-X-TARGETDURATION:4', '#EXT-X-PLAYLIST-TYPE:VOD'];
    let bytes = 0;
    for (let i = 0; i < SEGMENTS; i++) {
      const name = `${prefix}${i}.ts`;
      bytes += write(join(folder, name), noise(join(folder, name).slice(dir.length), Math.ceil(size / SEGMENTS)));
      lines.push('#EXTINF:4.000000,', name);
    }
    return bytes + write(join(folder, playlist), `${[...lines, '#EXT-X-ENDLIST'].join('\n')}\n`);
  };

  // All of it stays in the write-ahead log: a young VideoCMS has a main file without a single table.
  await db.query('PRAGMA wal_autocheckpoint=0');
  await db.query(readFileSync(fileURLToPath(new URL('./schema.sql', import.meta.url)), 'utf8'));
  // One transaction: the log stays far from the size at which a running program would fold it in by itself.
  await db.query('BEGIN');
  await insert('users', { username: 'admin', hash: 'sample', admin: 1, storage: 0 });
  await insert('settings', {
    app_name: 'VideoCMS',
    base_url: 'http://127.0.0.1:3000',
    jwt_secret_key: 'sample, not a secret',
    jwt_media_secret_key: 'sample, not a secret either',
    encoding_enabled: 'true',
    upload_enabled: 'true',
    remote_download_enabled: 'true',
  });
  const folderId = await insert('folders', { name: 'Clips', user_id: 1, parent_folder_id: 0 });
  const perVideo = (mb * 1_000_000) / Math.max(1, videos);
  const state = { type: 'hls', encoding: 0, progress: 1, failed: 0, ready: 1, error: '' };
  for (let n = 1; n <= videos; n++) {
    const id = uuid(`file ${n}`);
    const folder = `./videos/qualitys/${id}`;
    const path = join(media, id);
    mkdirSync(path, { recursive: true });
    let size = write(join(path, '4x4.webp'), noise(`thumbnail ${n}`, THUMBNAIL_BYTES));
    const file = { uuid: id, hash: uuid(`hash ${n}`), thumbnail: '4x4.webp', size: 0, duration: 16, height: 360 };
    const fileId = await insert('files', { ...file, width: 640, path: '', folder, user_id: 1 });
    const link = { uuid: uuid(`link ${n}`), name: `clip-${n}.mp4`, file_id: fileId, user_id: 1 };
    await insert('links', { ...link, thumbnail: '', parent_folder_id: n % 2 ? 0 : folderId });
    for (const [height, share] of Object.entries({ 240: 0.35, 360: 0.5 })) {
      const name = `${height}p`;
      const bytes = stream(join(path, name), 'out.m3u8', 'out', perVideo * share);
      const quality = { name, height: Number(height), width: 640, size: bytes, path: `${folder}/${name}` };
      await insert('qualities', { ...quality, output_file: 'out.m3u8', ...state, file_id: fileId });
      size += bytes;
    }
    const audio = uuid(`audio ${n}`);
    size += stream(join(path, audio), 'audio.m3u8', 'audio', perVideo * 0.15);
    const track = { uuid: audio, name: 'Audio 1', lang: 'und', path: `${folder}/${audio}` };
    await insert('audios', { ...track, output_file: 'audio.m3u8', ...state, file_id: fileId });
    if (n % 2 === 0) {
      const subtitle = uuid(`subtitle ${n}`);
      mkdirSync(join(path, subtitle));
      size += write(join(path, subtitle, 'out.vtt'), 'WEBVTT\n\n00:00.000 --> 00:04.000\nHello\n');
      const text = { uuid: subtitle, name: 'Subtitle 1', lang: 'eng', path: `${folder}/${subtitle}` };
      await insert('subtitles', { ...text, output_file: 'out.vtt', ...state, type: 'vtt', file_id: fileId });
    }
    await db.query(`UPDATE files SET size=${size} WHERE id=${fileId}`);
  }
  await seedUploads({ dir, insert, write });
  await db.query('COMMIT');
  // Ended as VideoCMS ends: without closing the database.
  db.kill();
  writeFileSync(join(dir, 'docker-compose.yaml'), COMPOSE);
  writeFileSync(join(dir, '.env'), 'Host=:3000\n');
  return done;
}

/** A video that waits for its encoding and still needs its original, an upload that was never finished, a deleted link. */
async function seedUploads({ dir, insert, write }) {
  const id = uuid('pending');
  const path = `./videos/uploads/${id}.tmp.mp4`;
  write(join(dir, path), noise('pending', 65_536));
  const folder = `./videos/qualitys/${id}`;
  const file = { uuid: id, hash: uuid('pending hash'), thumbnail: '4x4.webp', size: 65_536, duration: 4, path, folder };
  const fileId = await insert('files', { ...file, user_id: 1 });
  await insert('links', {
    uuid: uuid('pending link'),
    name: 'pending.mp4',
    thumbnail: '',
    file_id: fileId,
    user_id: 1,
  });
  const quality = { name: '240p', height: 240, size: 0, type: 'hls', path: `${folder}/240p`, output_file: 'out.m3u8' };
  await insert('qualities', { ...quality, encoding: 0, progress: 0, failed: 0, ready: 0, file_id: fileId });
  await insert('links', {
    uuid: uuid('gone'),
    name: 'gone.mp4',
    thumbnail: '',
    file_id: 999,
    user_id: 1,
    deleted_at: at,
  });
  const tus = uuid('unfinished');
  write(join(dir, 'videos/uploads/tus', tus), noise('unfinished', 32_768));
  write(join(dir, 'videos/uploads/tus', `${tus}.info`), `{"ID":"${tus}","Size":131072,"Offset":0}\n`);
  const storage = `videos/uploads/tus/${tus}`;
  const session = { uuid: uuid('session'), tus_id: tus, protocol: 'tus', status: 'uploading', name: 'unfinished.mp4' };
  await insert('upload_sessions', { ...session, size: 131_072, offset: 32_768, storage_path: storage, user_id: 1 });
}

const COMPOSE = `services:
  videocms:
    image: kirari04/videocms:beta
    ports: ["127.0.0.1:3000:3000"]
    volumes:
      - ./videos:/app/videos
      - ./database:/app/database
    restart: unless-stopped
    stop_signal: SIGINT
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { dir: { type: 'string' }, videos: { type: 'string' }, mb: { type: 'string' } },
  });
  if (!values.dir) throw new Error('where? --dir DIR');
  const numbers = {
    ...(values.videos && { videos: Number(values.videos) }),
    ...(values.mb && { mb: Number(values.mb) }),
  };
  const { files, bytes, rows } = await seed({ dir: values.dir, ...numbers });
  console.log(`${values.dir}: ${rows} rows, ${files} files, ${Math.round(bytes / 1e6)} MB`);
}
