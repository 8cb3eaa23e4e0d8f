import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { link, mkdir, readFile, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { StateDir } from './api.js';
import { syncDirectory, writeDurable } from './durable.js';

/** `HOLDFAST_STATE_DIR`, else /var/lib/holdfast for root, else ~/.local/state/holdfast. */
export function defaultStateDir(env: NodeJS.ProcessEnv = process.env): string {
  if (env.HOLDFAST_STATE_DIR) return resolve(env.HOLDFAST_STATE_DIR);
  return process.getuid?.() === 0 ? '/var/lib/holdfast' : join(homedir(), '.local/state/holdfast');
}

/** Opens the state directory of this host and creates what it lacks, for its owner alone. */
export async function openState(dir: string = defaultStateDir()): Promise<StateDir> {
  const root = resolve(dir);
  const make = (...parts: string[]): string => {
    const path = join(root, ...parts);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
  await mkdir(root, { recursive: true, mode: 0o700 });
  const state: StateDir = {
    root,
    site: (site) => {
      const path = make('sites', site);
      return {
        dir: path,
        record: join(path, 'record.json'),
        recordLock: join(path, 'record.lock'),
        fenceLock: join(path, 'fence.lock'),
        epoch: join(path, 'epoch'),
        ack: join(path, 'ack'),
      };
    },
    groups: make('groups'),
    plans: make('plans'),
    staging: (site) => make('staging', site),
    captures: (site) => make('captures', site),
    reports: (site) => make('reports', site),
    proofs: (site) => make('proofs', site),
    logs: make('logs'),
    work: make('work'),
    hostId: join(root, 'host-id'),
    watchdog: join(root, 'watchdog.json'),
    events: join(root, 'events.jsonl'),
  };
  await makeHostId(state.hostId);
  return state;
}

/** The random identity of this host. `link` refuses a second one: whoever comes first has named the host. */
async function makeHostId(path: string): Promise<void> {
  if (await readFile(path, 'utf8').catch(() => undefined)) return;
  const mine = `${path}.${randomUUID()}`;
  await writeDurable(mine, `${randomUUID()}\n`);
  await link(mine, path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
  });
  await rm(mine, { force: true });
  await syncDirectory(join(path, '..'));
}

/** The random identity of this host, as `prepare` returns it. */
export async function readHostId(state: StateDir): Promise<string> {
  return (await readFile(state.hostId, 'utf8')).trim();
}
