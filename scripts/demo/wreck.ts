import { execFile } from 'node:child_process';
import { copyFile, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startRestore } from '../../src/client/start.js';
import { now, PATIENCE_MS, until } from './clock.js';
import type { Facts } from './facts.js';
import { approve, finished } from './runs.js';
import { ask } from './site.js';
import type { Stage } from './stage.js';

const run = promisify(execFile);

export interface Wrecked {
  status: number;
  /** SHA-256 and path of every file that was there before. */
  files: string[];
}

/** Removes the database and every second folder of media; the writer stops first, so that what it wrote is known. */
export async function wreck({ site, visitors }: Stage): Promise<Wrecked> {
  await visitors.pause();
  const files = await hashes(site.media);
  await rm(site.database);
  const folders = (await readdir(site.media)).sort();
  const half = folders.filter((_, n) => n % 2 === 0);
  await Promise.all(half.map((folder) => rm(join(site.media, folder), { recursive: true })));
  const status = await until('the wrecked site’s answer', PATIENCE_MS, () =>
    visitors.status() === 200 ? undefined : visitors.status(),
  );
  return { status, files };
}

/** Restores in place from the newest backup, and compares every file and every acknowledged row with what was there. */
export async function restoreInPlace(stage: Stage, wrecked: Wrecked): Promise<Facts['restore'] & { url: string }> {
  const { site, visitors, client, server } = stage;
  const from = now();
  const handle = await startRestore(client, { site: 'cms', reason: 'demo' });
  await approve(handle, 'cms');
  const { report, seconds, url } = await finished(handle, from, server);
  await site.healthy();
  const after = new Set(await hashes(site.media));
  const there = new Set((await ask(site.database, 'SELECT id FROM web_pages')).split('\n').map(Number));
  const capturedAt = Date.parse(report.capturedAt ?? '');
  const acknowledged = [...visitors.acknowledged];
  const before = acknowledged.filter(([, at]) => at <= capturedAt);
  const younger = acknowledged.filter(([id, at]) => at > capturedAt && !there.has(id)).map(([id]) => id);
  const aside = await putAside(stage);
  visitors.resume();
  return {
    outcome: report.outcome,
    seconds,
    url,
    rowsChecked: before.length,
    rowsLost: before.filter(([id]) => !there.has(id)).length,
    rowsAfterSnapshot: younger.length,
    rowsPutAside: younger.filter((id) => aside.has(id)).length,
    files: wrecked.files.length,
    filesLost: wrecked.files.filter((file) => !after.has(file)).length,
  };
}

/**
 * Rows of the write-ahead log that the restore put aside. The capture had folded the log in, so on the captured database
 * this log is all that was written since.
 */
async function putAside({ dir, site }: Stage): Promise<Set<number>> {
  const { stdout } = await run('find', [dir, '-path', '*.before-*', '-name', 'database.sqlite-wal']);
  const [log] = stdout.trim().split('\n');
  if (!log) return new Set();
  const scratch = join(dir, 'put-aside');
  await mkdir(scratch, { recursive: true });
  await copyFile(site.database, join(scratch, 'database.sqlite'));
  await copyFile(log, join(scratch, 'database.sqlite-wal'));
  const rows = await ask(join(scratch, 'database.sqlite'), 'SELECT id FROM web_pages').catch(() => '');
  return new Set(rows.split('\n').map(Number));
}

/** In a program of its own: hashing here would keep the prober from its 20 ms. */
async function hashes(dir: string): Promise<string[]> {
  const script = 'find . -type f -print0 | sort -z | xargs -0 sha256sum';
  const { stdout } = await run('sh', ['-euc', script], { cwd: dir, maxBuffer: 64e6 });
  return stdout.trim().split('\n');
}
