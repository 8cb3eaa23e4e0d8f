#!/usr/bin/env node
// Behaves as VideoCMS does, as far as a backup can see it. Runs in the site's directory:
// Host=127.0.0.1:3000 node server.mjs [--start-ms 1200] [--pid-file logs/videocms.pid]
import { createHmac } from 'node:crypto';
import { createReadStream, existsSync, mkdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join, normalize, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openDatabase, sql } from './database.mjs';

const { values } = parseArgs({
  options: { 'start-ms': { type: 'string', default: '1200' }, 'pid-file': { type: 'string' } },
});
const startMs = Number(values['start-ms']);
const [, host, port] = /^(.*):(\d+)$/.exec(process.env.Host ?? ':3000') ?? [];
const qualitys = resolve(process.env.FolderVideoQualitysPriv ?? './videos/qualitys');
const path = resolve('database/database.sqlite');
const RESOURCES_MS = 10_000;

// VideoCMS never closes its database: nothing folds the write-ahead log in, whichever signal ends it.
const db = existsSync(path) ? openDatabase(path) : undefined;
for (const [signal, code] of [
  ['SIGINT', 0],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => {
    db?.kill();
    process.exit(code);
  });
}

const query = async (text) => {
  if (!db || !existsSync(path)) throw new Error('no such table: settings');
  return db.query(text);
};
const live = 'deleted_at IS NULL';

/** What the media cookie of a link says: it stops working when the key in `settings` is another one. */
async function token(link) {
  const [settings] = await query('SELECT jwt_media_secret_key AS key FROM settings LIMIT 1');
  return createHmac('sha256', settings.key).update(link).digest('hex');
}

const fileOf = async (link) =>
  (
    await query(
      `SELECT f.id, f.uuid, l.name FROM links l JOIN files f ON f.id = l.file_id WHERE l.uuid = ${sql(link)} AND l.${live} AND f.${live}`,
    )
  )[0];

/** Each route: method, pattern, answer. The first that fits answers. */
const routes = [
  ['GET', /^\/api\/config$/, async () => json(200, await config())],
  ['POST', /^\/api\/rows$/, async () => addRow()],
  [
    'GET',
    /^\/api\/rows$/,
    async () => json(200, (await query('SELECT count(*) AS count, max(id) AS max FROM web_pages'))[0]),
  ],
  [
    'GET',
    /^\/v\/([\w-]+)\/status$/,
    async (_, link) => {
      const file = await fileOf(link);
      if (!file) return json(404, { error: 'not found' });
      const [count] = await query(
        `SELECT count(*) AS n, sum(ready) AS ready FROM qualities WHERE file_id = ${file.id}`,
      );
      return json(200, { state: count.n === count.ready ? 'ready' : 'encoding', ready: count.n === count.ready });
    },
  ],
  [
    'GET',
    /^\/v\/([\w-]+)$/,
    async (_, link) => {
      const file = await fileOf(link);
      if (!file) return text(404, 'not found');
      const cookie = `vc_media=${await token(link)}; Path=/videos/; Max-Age=21600; HttpOnly`;
      return { ...text(200, `<!doctype html><title>${file.name}</title>`), cookie };
    },
  ],
  ['GET', /^\/videos\/qualitys\/([\w-]+)\/(.+)$/, media],
  ['GET', /^\/api\//, async () => json(403, { error: 'No JWT Token' })],
  ['GET', /^\//, async () => text(200, '')],
];

const json = (status, body) => ({ status, type: 'application/json', body: JSON.stringify(body) });
const text = (status, body) => ({ status, type: 'text/html', body });

async function config() {
  const [settings] = await query('SELECT app_name, base_url, upload_enabled FROM settings LIMIT 1');
  if (!settings) throw new Error('no settings');
  return settings;
}

/** Answers with the row's id once it is committed, and never before. */
async function addRow() {
  const now = sql(new Date().toISOString());
  const [row] = await query(
    `INSERT INTO web_pages (created_at, updated_at, path, title, html) VALUES (${now}, ${now}, '/note', 'note', '') RETURNING id`,
  );
  if (!row) throw new Error('the row was not written');
  return json(201, row);
}

async function media(request, link, rest) {
  const file = await fileOf(link);
  const open = rest === 'image/thumb/4x4.webp';
  if (!open && !new RegExp(`\\bvc_media=${file ? await token(link) : '-'}`).test(request.headers.cookie ?? ''))
    return text(401, 'no media token');
  const folder = join(qualitys, file?.uuid ?? '-');
  const wanted = normalize(join(folder, open ? '4x4.webp' : decodeURIComponent(rest)));
  if (!file || !wanted.startsWith(`${folder}/`) || !existsSync(wanted) || !statSync(wanted).isFile())
    return text(404, 'not found');
  return { status: 200, type: 'application/octet-stream', file: wanted };
}

async function answer(request) {
  const { pathname } = new URL(request.url, 'http://localhost');
  for (const [method, pattern, route] of routes) {
    const found = request.method === method && pattern.exec(pathname);
    if (found) return route(request, ...found.slice(1));
  }
  return text(405, '');
}

const server = createServer(async (request, response) => {
  request.resume();
  const reply = await answer(request).catch((error) => json(500, { error: error.message }));
  response.writeHead(reply.status, {
    'content-type': reply.type,
    ...(reply.cookie && { 'set-cookie': reply.cookie }),
    ...(reply.file && { 'content-length': statSync(reply.file).size }),
  });
  if (reply.file)
    createReadStream(reply.file)
      .on('error', () => response.destroy())
      .pipe(response);
  else response.end(reply.body);
});

/** Only whoever has the port says so: of two that were started at once the other one ends. */
function writePid(file) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, `${process.pid}\n`);
  renameSync(`${file}.${process.pid}`, file);
}

await sleep(startMs);
await new Promise((done) => server.listen({ port: Number(port), ...(host && { host }) }, done));
if (values['pid-file']) writePid(values['pid-file']);
// Every start writes, so two states are compared by content and never by bytes.
const sample = () => query("INSERT INTO system_resources (created_at, cpu, mem) VALUES (datetime('now'), 0.1, 0.2)");
await query('UPDATE qualities SET progress = 0 WHERE ready = 1')
  .then(sample)
  .catch(() => {});
setInterval(() => sample().catch(() => {}), RESOURCES_MS).unref();
console.log(`listening on ${host}:${server.address().port}`);
