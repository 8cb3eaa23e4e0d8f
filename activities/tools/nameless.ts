import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How a program opens the file that it was handed. A pipe would not do: some read a file twice, and libpq takes a plain file only. */
export const HANDED = '/proc/self/fd/3';

/** O_TMPFILE, which Node has no name for. */
const NAMELESS = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;

/**
 * Gives `use` the descriptor of a file with this text that has no name anywhere, 0600: however this process and its programs end, nothing
 * of it is left.
 */
export async function withNameless<T>(text: string, use: (handed: number) => Promise<T>): Promise<T> {
  const handed = openNameless();
  try {
    writeSync(handed, text);
    return await use(handed);
  } finally {
    closeSync(handed);
  }
}

function openNameless(): number {
  for (const place of ['/dev/shm', tmpdir()]) {
    try {
      return openSync(place, NAMELESS, 0o600);
    } catch {
      // It is not there, or knows no such files.
    }
  }
  // Its name is gone before the text comes.
  const file = join(tmpdir(), `holdfast-${randomUUID()}`);
  const handed = openSync(file, 'wx+', 0o600);
  unlinkSync(file);
  return handed;
}
