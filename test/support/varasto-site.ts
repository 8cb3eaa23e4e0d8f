import { execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exportText, noRecords, sha256sText } from '../../examples/varasto/database.mjs';
import { type SeededVarasto, seed } from '../../examples/varasto/seed.mjs';
import type { DatabaseSpec } from '../../src/core/plan.js';

/** The directory of the stand-in for `sto`, to be put on the PATH. */
export const STO = fileURLToPath(new URL('../../examples/varasto/', import.meta.url));

/** Real data and its known answers, where this checkout has them beside it. */
export const VARASTO_FIXTURES = fileURLToPath(new URL('../../../shared/fixtures/varasto/', import.meta.url));
export const NO_VARASTO_FIXTURES = existsSync(VARASTO_FIXTURES)
  ? false
  : 'the real Varasto data is not in this checkout';

export type HttpSpec = Extract<DatabaseSpec, { kind: 'http' }>;

/** A real Varasto instance's files, unpacked: `export.log`, `varasto.db`, `mnt/…`, `ubackup/…`. */
export async function unpackFixtures(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-varasto-'));
  const script =
    'for f in export.log varasto.db; do gunzip -c "$1$f.gz" >$f; done; for t in volumes ubackup-sample; do tar -xzf "$1$t.tar.gz"; done';
  execFileSync('sh', ['-eu', '-c', script, 'sh', VARASTO_FIXTURES], { cwd: dir });
  return dir;
}

/** A pair of keys as µbackup makes them, but of 2048 bits: quicker. */
export const rsaPair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });

/** A server that answers as Varasto does, over TLS, from records in memory; `broken` spoils an answer on its way. */
export interface StandIn {
  site: SeededVarasto;
  spec: HttpSpec;
  /** How often an export was asked for with the right token. */
  exports: () => number;
  broken: { body?: (text: string) => string; afterBytes?: number; status?: number };
  end: () => Promise<void>;
}

export async function standIn(dir: string, options: Omit<Parameters<typeof seed>[0], 'dir'> = {}): Promise<StandIn> {
  const site = seed({ dir, ...options });
  const broken: StandIn['broken'] = {};
  let exports = 0;
  const key = site.records.Config?.find(({ Key }) => Key === 'node_tls_cert_key').Value;
  const server: Server = createServer({ key, cert: site.records.Node?.[0].TLSCert }, (request, answer) => {
    const known = request.headers.authorization === `Bearer ${site.token}`;
    const path = request.url?.replace('/api_v2/database/', '') ?? '';
    const files = { empty: '', empty_sha256s: '', export_sha256s: sha256sText(site.records) }[path];
    const status = !known ? 403 : path !== 'export' && files === undefined ? 404 : (broken.status ?? 200);
    answer.writeHead(status, { 'content-type': 'text/plain' });
    if (status !== 200) return void answer.end('missing or incorrect Authorization header\n');
    if (path === 'empty') return void answer.end(exportText(noRecords()));
    if (files !== undefined) return void answer.end(files);
    exports++;
    const text = (broken.body ?? ((each) => each))(exportText(site.records));
    if (broken.afterBytes === undefined) return void answer.end(text);
    answer.write(text.slice(0, broken.afterBytes), () => answer.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    site,
    broken,
    exports: () => exports,
    spec: {
      kind: 'http',
      name: 'varasto',
      mode: 'online',
      url: `https://localhost:${port}/api_v2/database/export`,
      token: { file: join(site.root, 'token') },
      ca: join(site.root, 'tls.crt'),
      format: 'varasto',
    },
    end: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Holds bbolt's lock of a file, as the application does; ends with the function that it returns. */
export async function holdLock(path: string): Promise<() => Promise<void>> {
  const child = spawn('flock', ['--no-fork', path, 'sh', '-c', 'echo held; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  return async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
}
