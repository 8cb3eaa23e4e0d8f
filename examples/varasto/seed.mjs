#!/usr/bin/env node
// Makes a Varasto site: node seed.mjs --dir DIR [--collections 2] [--files 3] [--kb 64]. Keys are new each time.
import { execFileSync } from 'node:child_process';
import { constants, createCipheriv, createHash, generateKeyPairSync, publicEncrypt, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { crc32, gzipSync } from 'node:zlib';
import { noRecords, save } from './database.mjs';

const at = '2026-11-21T09:23:15Z';
const hash = (text) => createHash('sha256').update(text).digest();
const id = (name, length = 11) => hash(name).toString('base64url').replace(/^-/, 'x').slice(0, length);

/** Lower-case base32hex without padding, as volumes name their files. */
function base32hex(bytes) {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((five) => Number.parseInt(five.padEnd(5, '0'), 2).toString(32)).join('');
}

function blobPath(volume, ref) {
  const name = base32hex(ref);
  return join(volume, name.slice(0, 1), name.slice(1, 3), name.slice(3));
}

function write(path, content) {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
}

/** CRC-32 as zlib has it; Node knows it only from version 20.15 on. */
function checksum(bytes) {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return sum.toString('base64');
}

/** A certificate for localhost that signs itself, as Varasto makes one. */
function certificate(dir) {
  const [key, cert] = [join(dir, 'tls.key'), join(dir, 'tls.crt')];
  const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=localhost';
  const more = ['-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert];
  execFileSync('openssl', [...args.split(' '), ...more], { stdio: 'ignore' });
  const made = { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  rmSync(key);
  return made;
}

/** Makes the site below `dir` and returns what it holds. The certificate lies there as tls.crt, the API key as token. */
export function seed({ dir, collections = 2, files = 3, kb = 64 }) {
  const root = resolve(dir);
  mkdirSync(root, { recursive: true });
  const records = noRecords();
  const node = id(root, 4);
  const tls = certificate(root);
  const token = randomBytes(32).toString('base64url');
  const kek = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'pkcs1', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  const fingerprint = `SHA256:${hash(kek.publicKey).toString('base64').replace(/=+$/, '')}`;
  const volumes = [1, 2].map((n) => ({ ID: n, UUID: id(`volume ${n} of ${root}`), path: join(root, `volumes/${n}`) }));
  for (const { ID, UUID, path } of volumes) {
    write(blobPath(path, Buffer.alloc(32)), `${JSON.stringify({ volume_uuid: UUID }, null, 2)}\n`);
    records.Volume.push({ ID, UUID, Label: `Volume ${ID}`, Zone: 'Default', Quota: 1e9 });
    records.VolumeMount.push({
      ID: id(`mount ${ID}`, 4),
      Volume: ID,
      Node: node,
      Driver: 'local-fs',
      DriverOpts: path,
    });
  }
  for (let c = 0; c < collections; c++) {
    const dek = randomBytes(32);
    const keyId = id(`key ${c}`);
    const created = [];
    for (let f = 0; f < files; f++) {
      // One of each: text that compresses, and noise that does not.
      const plain =
        f % 2 === 0 ? Buffer.alloc(kb * 1024, `file ${f} of collection ${c}\n`) : noise(`${c}/${f}`, kb * 1024);
      const ref = hash(plain);
      const packed = f % 2 === 0 ? gzipSync(plain) : plain;
      const stored = createCipheriv('aes-256-ctr', dek, ref.subarray(0, 16)).update(packed);
      for (const { path } of volumes) write(blobPath(path, ref), stored);
      records.Blob.push({
        ...{ Ref: ref.toString('base64'), EncryptionKeyID: keyId, Volumes: [1, 2], VolumesPendingReplication: [] },
        ...{ Referenced: true, IsCompressed: f % 2 === 0, Size: plain.length, SizeOnDisk: stored.length },
        Crc32: checksum(stored),
      });
      const sha256 = ref.toString('hex');
      created.push({
        Path: `file-${f}`,
        Sha256: sha256,
        Created: at,
        Modified: at,
        Size: plain.length,
        BlobRefs: [sha256],
      });
    }
    const sealed = publicEncrypt(
      { key: kek.publicKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
      dek,
    );
    const slots = [{ kek_fingerprint: fingerprint, key_encrypted: sealed.toString('base64') }];
    records.Collection.push({
      ...{
        ID: id(`collection ${c}`),
        Created: at,
        Directory: 'root',
        Name: `collection-${c}`,
        Head: id(`head ${c}`, 4),
      },
      EncryptionKeys: [{ key_id: keyId, slots }],
      Changesets: [
        { ID: id(`head ${c}`, 4), Parent: '', Created: at, FilesCreated: created, FilesUpdated: [], FilesDeleted: [] },
      ],
    });
  }
  records.KeyEncryptionKey.push({
    ...{ ID: id('kek', 4), Kind: 'rsa', Bits: 2048, Created: at, Label: 'main', Fingerprint: fingerprint },
    ...{ PublicKey: kek.publicKey, PrivateKey: kek.privateKey },
  });
  records.Node.push({ ID: node, Addr: 'https://localhost', Name: 'Primary', TLSCert: tls.cert });
  records.Client.push({ ID: id('client', 4), Created: at, AuthToken: token, Name: 'Backup program' });
  records.ReplicationPolicy.push({ ID: 'default', Name: 'Default', DesiredVolumes: [1, 2], MinZones: 1 });
  records.Directory.push({ ID: 'root', Created: at, Parent: '', Name: 'root', Type: 'generic' });
  for (const Kind of ['smartpoll', 'metadatabackup'])
    records.ScheduledJob.push({ ID: id(Kind), Kind, Schedule: '@midnight', Enabled: true, NextRun: at, LastRun: null });
  for (const [Key, Value] of Object.entries({
    nodeId: node,
    node_tls_cert_key: tls.key,
    ubackup_config: JSON.stringify(['varasto-backups', 'eu-central-1', 'no-id', 'no-secret', 'no key']),
  }))
    records.Config.push({ Key, Value });
  save(join(root, 'varasto.db'), records);
  writeFileSync(join(root, 'config.json'), `${JSON.stringify({ db_location: join(root, 'varasto.db') }, null, 2)}\n`);
  writeFileSync(join(root, 'token'), token, { mode: 0o600 });
  return { root, node, token, records, volumes: volumes.map(({ path }) => path) };
}

/** Bytes that depend on their name alone, and that nothing can compress. */
function noise(name, size) {
  return createCipheriv('aes-256-ctr', hash(name), Buffer.alloc(16)).update(Buffer.alloc(size));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: {
      dir: { type: 'string' },
      collections: { type: 'string', default: '2' },
      files: { type: 'string', default: '3' },
      kb: { type: 'string', default: '64' },
    },
  });
  if (!values.dir) throw new Error('--dir is missing');
  const { collections, files, kb } = values;
  const made = seed({ dir: values.dir, collections: Number(collections), files: Number(files), kb: Number(kb) });
  process.stdout.write(
    `${values.dir}: ${made.records.Blob.length} blobs in ${collections} collections, node ${made.node}\n`,
  );
}
