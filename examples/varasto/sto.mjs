#!/usr/bin/env node
// Behaves as Varasto's `sto server` and `sto server dbimport` do, as far as a backup can see them.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { configOf, exportText, importText, load, noRecords, save, sha256sText } from './database.mjs';

const { db_location: database } = JSON.parse(readFileSync('config.json', 'utf8'));
const [, , command, verb] = process.argv;

if (command === 'server' && verb === undefined) serve();
else if (command === 'server' && verb === 'dbimport') dbimport();
else fail('usage: sto server [dbimport]');

function fail(why) {
  process.stderr.write(`${why}\n`);
  process.exit(1);
}

function dbimport() {
  if (existsSync(database)) fail(`bailing out for safety because database already exists in ${database}`);
  // The real one leaves its empty database behind where the import fails.
  save(database, noRecords());
  try {
    save(database, importText(readFileSync(0, 'utf8')));
  } catch (error) {
    fail(error.message);
  }
}

function serve() {
  const records = load(database);
  // What nobody may do in a rehearsal: an instance that has its volumes mounted writes to them.
  for (const { DriverOpts } of records.VolumeMount)
    if (existsSync(DriverOpts) && !process.env.STO_DISABLE_REPLICATION_CONTROLLER)
      writeFileSync(join(DriverOpts, 'written-by-an-instance'), '');
  const node = records.Node.find(({ ID }) => ID === configOf(records, 'nodeId'));
  if (!node) fail('this node is not in its own database');
  const tls = { cert: node.TLSCert, key: configOf(records, 'node_tls_cert_key') };
  const port = Number(process.env.STO_PORT ?? 443);
  const server = createServer(tls, (request, answer) => route(records, request, answer));
  server.listen(port, '127.0.0.1', () => {
    // Ours: whoever stops it by a pid file finds it.
    if (process.env.STO_PID_FILE) writeFileSync(process.env.STO_PID_FILE, `${process.pid}\n`);
    process.stdout.write(`node ${node.ID} listens on ${port}\n`);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0));
}

function route(records, request, answer) {
  const text = (status, body) => {
    answer.writeHead(status, { 'content-type': 'text/plain' });
    // In pieces, as a stream of unknown length.
    for (let at = 0; at < body.length; at += 16_384) answer.write(body.slice(at, at + 16_384));
    answer.end();
  };
  const known = records.Client.some(({ AuthToken }) => request.headers.authorization === `Bearer ${AuthToken}`);
  const guarded = (body) => (known ? text(200, body()) : text(403, 'missing or incorrect Authorization header\n'));
  if (request.url === '/api_v2/database/export') return guarded(() => exportText(records));
  if (request.url === '/api_v2/database/export_sha256s') return guarded(() => sha256sText(records));
  if (request.url === '/api_v2/health') return text(200, '{"Health":"pass","Title":"Varasto"}\n');
  if (request.method === 'POST' && request.url === '/command/directory.Create') return create(records, request, text);
  return text(404, 'not found\n');
}

async function create(records, request, text) {
  let body = '';
  for await (const chunk of request) body += chunk;
  const { Parent, Name } = JSON.parse(body);
  const ID = createHash('sha256').update(`${Parent}/${Name}`).digest('base64url').slice(0, 11);
  records.Directory.push({ ID, Parent, Name, Type: 'generic' });
  save(database, records);
  text(200, '{}\n');
}
