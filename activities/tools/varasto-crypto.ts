import { constants, createDecipheriv, createHash, type KeyObject, privateDecrypt } from 'node:crypto';
import { crc32, gunzipSync } from 'node:zlib';

/**
 * How Varasto keeps a blob: at most 4 MiB, packed with gzip where that helps, then AES-256-CTR by the key of its collection;
 * that key lies in the metadata, sealed to a key-encryption key (RSA-OAEP with SHA-256).
 */

/** Opens a sealed key; undefined where this private key does not. */
export function openKey(sealed: string, key: KeyObject): Buffer | undefined {
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    return privateDecrypt({ key, padding, oaepHash: 'sha256' }, Buffer.from(sealed, 'base64'));
  } catch {
    return undefined;
  }
}

export interface BlobRecord {
  Ref: string;
  EncryptionKeyID: string;
  Volumes: number[] | null;
  IsCompressed: boolean;
  SizeOnDisk: number;
  Crc32: string;
}

/** What is wrong with a blob's stored bytes; undefined where they are what the metadata says, down to the hash of the content. */
export function blobProblem(stored: Buffer, blob: BlobRecord, key: Buffer): string | undefined {
  if (stored.length !== blob.SizeOnDisk) return `${stored.length} bytes, not ${blob.SizeOnDisk}`;
  if (crc32(stored) !== Buffer.from(blob.Crc32, 'base64').readUInt32BE()) return 'another checksum than recorded';
  const ref = Buffer.from(blob.Ref, 'base64');
  try {
    const packed = createDecipheriv('aes-256-ctr', key, ref.subarray(0, 16)).update(stored);
    const plain = blob.IsCompressed ? gunzipSync(packed) : packed;
    return createHash('sha256').update(plain).digest().equals(ref)
      ? undefined
      : 'its content is not what its name says';
  } catch {
    return 'it does not decrypt: another key';
  }
}

const DIGITS = '0123456789abcdefghijklmnopqrstuv';

/** Where a volume keeps a blob, relative: its reference in lower-case base32hex, cut after 1 and 3 characters. */
export function blobFile(ref: Buffer): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of ref) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += DIGITS[(held >> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  if (bits > 0) text += DIGITS[(held << (5 - bits)) & 31];
  return `${text[0]}/${text.slice(1, 3)}/${text.slice(3)}`;
}

/** The file that says which volume a directory is. */
export const DESCRIPTOR = blobFile(Buffer.alloc(32));
