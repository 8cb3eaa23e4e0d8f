import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { isPublicKey, objectName, seal, unseal, WrongKey } from '../../../activities/tools/ubackup.js';
import { NO_VARASTO_FIXTURES, rsaPair, unpackFixtures } from '../../support/varasto-site.js';

const pair = rsaPair();
const sealed = (text: string | Buffer) => buffer(seal(Readable.from([Buffer.from(text)]), pair.publicKey));
/** In pieces that end anywhere: the head may come byte by byte. */
const pieces = (bytes: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
  );

test('what is sealed opens with the private key alone, however it is cut into pieces', async () => {
  const text = 'an export\n'.repeat(5000);
  const bytes = await sealed(text);
  assert.equal(bytes.readUInt16LE(), 256, 'the length of the envelope');
  for (const size of [1, 3, 273, 274, 275, bytes.length])
    assert.equal((await buffer(unseal(pieces(bytes, size), pair.privateKey))).toString(), text);
  await assert.rejects(buffer(unseal(pieces(bytes, 99), rsaPair().privateKey)), WrongKey);
  assert.notDeepEqual(await sealed(text), bytes, 'never the same key twice');
});

test('a cut and a flipped byte fail, at the latest at the end', async () => {
  const bytes = await sealed('an export\n'.repeat(5000));
  for (const length of [0, 1, 100, 270, bytes.length - 1])
    await assert.rejects(buffer(unseal(pieces(bytes.subarray(0, length), 64), pair.privateKey)), `cut to ${length}`);
  bytes[bytes.length - 20]! ^= 4;
  await assert.rejects(buffer(unseal(pieces(bytes, 64), pair.privateKey)));
});

test('keys and names are those that µbackup takes', () => {
  assert.ok(isPublicKey(pair.publicKey));
  for (const text of [pair.privateKey, pair.publicKey.replaceAll('RSA ', ''), pair.publicKey.slice(0, 90), 'age1x'])
    assert.ok(!isPublicKey(text));
  const name = objectName('varasto', '2026-11-21T09:51:34.123Z', 'vm', 'c0ffee00-1111-4222-8333-444455556666');
  assert.equal(name, 'varasto/2026-11-21 0951Z_vm_34-c0ffee00-1111-4222-8333-444455556666.gz.aes');
});

test('the object that the real library wrote is read, and openssl reads ours', {
  skip: NO_VARASTO_FIXTURES,
}, async () => {
  const fixtures = await unpackFixtures();
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-ubackup-'));
  try {
    const bucket = join(fixtures, 'ubackup/bucket/varasto');
    const key = readFileSync(join(fixtures, 'ubackup/backups.key'), 'utf8');
    const [object = ''] = readdirSync(bucket);
    const plain = readFileSync(join(fixtures, 'export.log'));
    assert.ok((await buffer(unseal(createReadStream(join(bucket, object)), key))).equals(plain));

    const publicKey = readFileSync(join(fixtures, 'ubackup/backups.pub'), 'utf8');
    assert.ok(isPublicKey(publicKey));
    const ours = await buffer(seal(Readable.from([plain]), publicKey));
    assert.equal(ours.readUInt16LE(), 512);
    await writeFile(join(dir, 'head'), ours.subarray(2, 514));
    await writeFile(join(dir, 'body'), ours.subarray(530));
    const open = ['pkeyutl', '-decrypt', '-inkey', join(fixtures, 'ubackup/backups.key'), '-in', 'head'];
    const oaep = ['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', 'rsa_oaep_md:sha256'];
    const aes = execFileSync('openssl', [...open, ...oaep], { cwd: dir }).toString('hex');
    const iv = ours.subarray(514, 530).toString('hex');
    const script = `openssl enc -d -aes-256-ctr -K ${aes} -iv ${iv} -in body | gzip -dc`;
    assert.ok(execFileSync('sh', ['-c', script], { cwd: dir }).equals(plain));
  } finally {
    await rm(fixtures, { recursive: true });
    await rm(dir, { recursive: true });
  }
});
