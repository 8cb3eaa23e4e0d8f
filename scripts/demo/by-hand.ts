import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { now, PATIENCE_MS, until } from './clock.js';
import type { Site } from './site.js';
import type { Visitors } from './visitors.js';

const run = promisify(execFile);

/** What a careful person types: stop, fold the WAL in, copy the database, start. Nobody can be quicker and correct. */
const FLOOR = (site: Site, target: string) => `
  ${site.stopScript}
  sqlite3 '${site.database}' 'PRAGMA wal_checkpoint(TRUNCATE)' >/dev/null
  cp '${site.database}' '${target}'
  ${site.startScript}`;

/** What most scripts do: stop, copy everything, start. */
const NAIVE = (site: Site, target: string) => `
  ${site.stopScript}
  cp -a '${site.root}/.' '${target}'
  ${site.startScript}`;

/** Downtime in ms of the same site, the same way of stopping and starting it, the same prober, without Holdfast. */
export function floor(site: Site, visitors: Visitors, target: string): Promise<number> {
  return measured(visitors, FLOOR(site, target));
}

export function naive(site: Site, visitors: Visitors, target: string): Promise<number> {
  return measured(visitors, NAIVE(site, target));
}

async function measured(visitors: Visitors, script: string): Promise<number> {
  const from = now();
  await run('sh', ['-euc', script]);
  const started = now();
  await until(
    'the site after its start by hand',
    PATIENCE_MS,
    () => (visitors.answered.marks.at(-1) ?? 0) > started || undefined,
  );
  return Math.max(0, ...(await visitors.outages(from, now())));
}
