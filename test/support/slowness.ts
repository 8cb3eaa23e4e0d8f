import { execFile } from 'node:child_process';

/** What `node -e 0` takes at most where nobody else works. */
const QUIET_START_MS = 150;

/** How many times slower this machine is just now than a quiet one: with others at work on it no process of ours has its time. */
export async function slowness(): Promise<number> {
  const began = performance.now();
  await new Promise<void>((done) => execFile(process.execPath, ['-e', '0'], () => done()));
  return Math.max(1, Math.round((performance.now() - began) / QUIET_START_MS));
}
