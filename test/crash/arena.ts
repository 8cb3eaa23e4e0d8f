import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLab } from '../support/lab.js';
import { runPlain } from '../support/lab-runs.js';
import { fingerprints } from '../support/lab-site.js';
import type { Machine } from './blows.js';
import type { Blow } from './cases.js';
import { openTold, type Told } from './told.js';

/** One matrix at work: a lab whose site is written to all the time. */
export interface Arena extends Machine {
  /** What the application takes to start, measured. */
  ownStartMs: number;
  media: string[];
  told: Told;
  end: () => Promise<void>;
}

/**
 * Beside the application's own start: 2 s after a death, 60 s after a hang; processes that we start anew take their time.
 * A run that is terminated between two steps, or just before a step ends, tells nobody: that is a hang.
 */
export const LIMITS_MS: Record<Blow, number> = {
  worker: 2_000,
  tool: 2_000,
  second: 2_000,
  lateStop: 2_000,
  starter: 2_000,
  namesake: 10_000,
  both: 10_000,
  reboot: 10_000,
  cancel: 10_000,
  terminate: 62_000,
  forgotten: 62_000,
  reset: 62_000,
  freeze: 62_000,
  server: 62_000,
  away: 62_000,
  broken: 62_000,
};

/** A store whose worker dies twice is seen by its heartbeat's end each time; a server that was away adds its own. */
const RUN_LIMIT_MS = 600_000;
/** A visitor's writes cost as much as all that is looked at: so many are enough for a few in each section. */
const WRITE_MS = 80;

export async function openArena(built: string, ownServer = false): Promise<Arena | string> {
  const told = await openTold();
  const lab = await createLab({
    built,
    ownServer,
    videos: 2,
    mb: 1,
    configure: (config, { dir }) => {
      config.sites.cms.keep = { last: 3 };
      config.restore.approval = 'required';
      config.notify = { ops: { webhook: { file: join(dir, 'hook') }, on: told.on } };
      config.sites.cms.notify = ['ops'];
    },
  });
  if (typeof lab === 'string') {
    told.end();
    return lab;
  }
  await writeFile(join(lab.dir, 'hook'), told.url, { mode: 0o600 });
  await lab.site.start();
  await lab.site.healthy();
  await lab.site.stop();
  const began = performance.now();
  await lab.site.start();
  await lab.site.healthy();
  const ownStartMs = performance.now() - began;
  await lab.startWatchdog();
  await lab.startWorker();
  const writer = lab.site.writer(WRITE_MS);
  const media = await fingerprints(lab.site.media);
  const first = await runPlain(lab, 'backup', { site: 'cms' });
  assert.equal(first.outcome, 'completed', first.said);
  const end = async () => {
    await writer.end();
    await lab.end();
    told.end();
  };
  return { lab, boot: {}, ownStartMs, media, told, end };
}

export async function within<T>(what: string, work: Promise<T>): Promise<T> {
  const over = new AbortController();
  const late = sleep(RUN_LIMIT_MS, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not within ${RUN_LIMIT_MS / 60_000} min: ${what}`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    over.abort();
    late.catch(() => {});
  }
}
