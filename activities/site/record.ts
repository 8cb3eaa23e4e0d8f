import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { failure } from '../../src/core/failures.js';
import { holdLock } from '../tools/lock.js';
import { SiteRecord, type StateDir } from './api.js';
import { syncDirectory, writeDurable } from './durable.js';

export type SitePaths = ReturnType<StateDir['site']>;

const WAIT_SECONDS = 5;
/** The lock is lost after so long: a worker that is frozen inside a change must not keep the watchdog from its work. */
const LIMIT_SECONDS = 10;
const ATTEMPTS = 3;

/**
 * The rename is done by the lock's own holder, when told so: a worker that thaws after its lock was lost finds nobody to tell,
 * and has changed nothing.
 */
const SWAP = 'echo locked; read -r new && mv -f "$new" "$1" && echo done';

/** The record as it stands. A site without one is idle; one that cannot be read is StateUnusable, never idle. */
export async function readRecord(paths: SitePaths, site: string): Promise<SiteRecord> {
  let text: string;
  try {
    text = await readFile(paths.record, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(paths, 'cannot be read', error);
    return {
      schema: 1,
      site,
      phase: 'idle',
      epoch: await readEpoch(paths),
      services: [],
      undo: [],
      stopTimeoutMs: 60_000,
    };
  }
  try {
    return SiteRecord.parse(JSON.parse(text));
  } catch (error) {
    throw unusable(paths, 'is not one that this version understands', error);
  }
}

/** The epoch that tools compare; 0 before the first section. */
export async function readEpoch(paths: SitePaths): Promise<number> {
  const text = await readFile(paths.epoch, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return '0';
    throw unusable(paths, 'has an epoch file that cannot be read', error);
  });
  const epoch = Number(text);
  if (!Number.isInteger(epoch)) throw unusable(paths, 'has an epoch file without a number');
  return epoch;
}

/**
 * Reads, changes and replaces the record under its lock; durable on return. `change` gets the record as it is by then, returns the
 * new one or undefined to leave it, may throw, and may be called again: it must decide from the record alone.
 */
export async function updateRecord(
  paths: SitePaths,
  site: string,
  change: (record: SiteRecord) => SiteRecord | undefined,
): Promise<SiteRecord> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const lock = await holdLock(paths.recordLock, {
      waitSeconds: WAIT_SECONDS,
      limitSeconds: LIMIT_SECONDS,
      script: SWAP,
      args: [paths.record],
    });
    if (!lock) continue;
    const beside = `${paths.record}.${randomBytes(4).toString('hex')}.next`;
    try {
      const before = await readRecord(paths, site);
      const after = change(before);
      if (!after) return before;
      const next = SiteRecord.parse(after);
      await writeDurable(beside, `${JSON.stringify(next, undefined, 1)}\n`);
      if ((await lock.ask(beside)) !== 'done') continue;
      await syncDirectory(dirname(paths.record));
      return next;
    } finally {
      await lock.release();
      await rm(beside, { force: true });
    }
  }
  throw unusable(paths, 'stayed locked by another process', undefined, 'look which process holds it, and try again');
}

const AFRESH = 'start the application by hand if it is down, then move that file away: the site begins afresh';

function unusable(paths: SitePaths, what: string, cause?: unknown, advice = AFRESH): Error {
  return failure('StateUnusable', {
    step: 'site record',
    host: hostname(),
    what: `${paths.record} ${what}`,
    advice,
    cause,
  });
}
