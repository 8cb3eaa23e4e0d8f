import { mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateDir } from './api.js';
import { syncDirectory, writeDurable } from './durable.js';

const SUFFIX = '.journal';
/** No run is as long, nor reset so late. */
const FORGET_MS = 30 * 86_400_000;

/**
 * The journal of a capture: runs a step once and gives its result again on a repeat, also where Temporal was away between "done" and
 * "reported". The result must be JSON. A step that dies or fails leaves nothing and runs again.
 */
export async function once<T>(
  state: StateDir,
  site: string,
  captureId: string,
  step: string,
  run: () => Promise<T>,
): Promise<T> {
  const directory = join(state.captures(site), `${captureId}${SUFFIX}`);
  const file = join(directory, `${encodeURIComponent(step)}.json`);
  const done = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (done !== undefined) return (JSON.parse(done) as { result: T }).result;
  const result = await run();
  if (await mkdir(directory, { recursive: true, mode: 0o700 })) await forgetJournals(state, site, FORGET_MS);
  await syncDirectory(state.captures(site));
  await writeDurable(file, JSON.stringify({ step, at: new Date().toISOString(), result }));
  return result;
}

/** Removes old journals: a run that has ended may be reset, and its steps be repeated, for as long as theirs are there. */
export async function forgetJournals(state: StateDir, site: string, olderThanMs: number): Promise<void> {
  const directory = state.captures(site);
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    if (name.endsWith(SUFFIX) && Date.now() - (await stat(path)).mtimeMs > olderThanMs)
      await rm(path, { recursive: true, force: true });
  }
}
