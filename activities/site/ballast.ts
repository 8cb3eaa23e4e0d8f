import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SitePaths } from './record.js';

/** Enough for record, epoch, journal and log on the way up; of random bytes, because a file system may compress others to nothing. */
const BYTES = 512 * 1024;

const pathOf = (paths: SitePaths): string => join(paths.dir, 'ballast');

/** Takes room on the state's disk before the stop, so that the way up has some where a dump has filled it. */
export async function takeBallast(paths: SitePaths): Promise<void> {
  const file = await open(pathOf(paths), 'w', 0o600);
  try {
    await file.writeFile(randomBytes(BYTES));
    await file.sync();
  } finally {
    await file.close();
  }
}

export async function dropBallast(paths: SitePaths): Promise<void> {
  await rm(pathOf(paths), { force: true });
}
