import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateDir } from '../site/api.js';

/** Gives `use` a fresh directory of its own below the state's work area, and removes it afterwards. */
export async function withWorkDir<T>(state: StateDir, use: (dir: string) => Promise<T>): Promise<T> {
  const dir = join(state.work, `tmp-${randomUUID()}`);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  try {
    return await use(dir);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The cache of one repository: kept between runs. */
export async function cacheDir(state: StateDir, repository: string): Promise<string> {
  const dir = join(state.work, 'cache', repository);
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return dir;
}
