import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { PassThrough, type Readable, Transform, type TransformCallback } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';

/**
 * µbackup's file format (github.com/function61/ubackup): a length of two bytes, little endian; that many bytes of a 32-byte key sealed
 * with RSA-OAEP and SHA-256; 16 bytes of IV; then gzip under AES-256-CTR. Nothing in it tells that it was changed: whoever
 * stores it keeps a hash beside it.
 */

const [KEY, IV] = [32, 16];
/** An export is text: this packs it nearly as well as the default, in half of the time. */
const LEVEL = 3;
const PADDING = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

/** The private key at hand opens no such file. */
export class WrongKey extends Error {}

/** Whether a text is a key that µbackup takes: PKCS#1 alone (`BEGIN RSA PUBLIC KEY`), which it asks for. */
export function isPublicKey(pem: string): boolean {
  try {
    return /^-----BEGIN RSA PUBLIC KEY-----/.test(pem.trim()) && createPublicKey(pem).asymmetricKeyType === 'rsa';
  } catch {
    return false;
  }
}

/** Packs and encrypts to a public key. Throws at once where that is none. */
export function seal(plain: Readable, publicKey: string): Readable {
  const [key, iv] = [randomBytes(KEY), randomBytes(IV)];
  const envelope = publicEncrypt({ key: createPublicKey(publicKey), ...PADDING }, key);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(envelope.length);
  const out = new PassThrough();
  out.write(Buffer.concat([length, envelope, iv]));
  // Whoever reads `out` learns of the failure: pipeline destroys it.
  pipeline(plain, createGzip({ level: LEVEL }), createCipheriv('aes-256-ctr', key, iv), out).catch(() => {});
  return out;
}

/** Decrypts and unpacks. The stream fails with WrongKey, and with zlib's words where the bytes are damaged or cut. */
export function unseal(cipher: Readable, privateKey: string): Readable {
  const out = new PassThrough();
  pipeline(cipher, new Opener(privateKey), createGunzip(), out).catch(() => {});
  return out;
}

/** Takes the head off, and decrypts what follows. */
class Opener extends Transform {
  private head: Buffer = Buffer.alloc(0);
  private decipher: ReturnType<typeof createDecipheriv> | undefined;

  constructor(private readonly privateKey: string) {
    super();
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    try {
      this.push(this.decipher ? this.decipher.update(chunk) : this.begun(chunk));
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  /** What follows the head, once it is complete. */
  private begun(chunk: Buffer): Buffer {
    const head = Buffer.concat([this.head, chunk]);
    this.head = head;
    const length = head.length < 2 ? 0 : head.readUInt16LE();
    const body = 2 + length + IV;
    if (head.length < 2 || head.length < body) return Buffer.alloc(0);
    this.decipher = opened(this.privateKey, head.subarray(2, 2 + length), head.subarray(2 + length, body));
    this.head = Buffer.alloc(0);
    return this.decipher.update(head.subarray(body));
  }

  override _flush(done: TransformCallback): void {
    done(this.decipher ? null : new Error('unexpected end of file'));
  }
}

function opened(privateKey: string, envelope: Buffer, iv: Buffer) {
  let key: Buffer;
  try {
    key = privateDecrypt({ key: createPrivateKey(privateKey), ...PADDING }, envelope);
  } catch {
    throw new WrongKey('the key does not open this file');
  }
  return createDecipheriv('aes-256-ctr', key, iv);
}

/** `varasto/2026-11-21 0951Z_vm_34-<capture>.gz.aes`: names have minutes alone, so the task holds the seconds and the capture. */
export function objectName(service: string, at: string, host: string, captureId: string): string {
  const [date = '', time = ''] = at.split('T');
  const [hours, minutes, seconds = ''] = time.split(':');
  return `${service}/${date} ${hours}${minutes}Z_${host}_${seconds.slice(0, 2)}-${captureId}.gz.aes`;
}
