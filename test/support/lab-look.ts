import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { Report } from '../../src/core/report.js';
import type { Lab } from './lab.js';
import { fingerprints, rowsOf } from './lab-site.js';

const run = promisify(execFile);

/** What lies in a repository, as its own tool or its own files say it. */
export interface BareSnapshot {
  id: string;
  repository: 'nas' | 'local';
  captureId: string;
}

/*
 * A look at the world that asks nothing of Holdfast's code: restic, tar, sqlite3, /proc and the file system say it.
 */

export async function bareSnapshots(lab: Lab, siteId = 'cms'): Promise<BareSnapshot[]> {
  const found: BareSnapshot[] = [];
  if (existsSync(join(lab.repositories.nas!, 'config'))) {
    const { stdout } = await restic(lab, 'snapshots', '--json', '--no-lock', '--tag', `site=${siteId}`);
    for (const { id, tags } of JSON.parse(stdout) as { id: string; tags: string[] }[])
      found.push({ id, repository: 'nas', captureId: tags.find((tag) => tag.startsWith('capture='))?.slice(8) ?? '' });
  }
  const archives = join(lab.repositories.local!, siteId);
  if (existsSync(archives)) {
    for (const name of readdirSync(archives).filter((each) => /\.tar\.(zst|gz)$/.test(each))) {
      const id = name.replace(/\.tar\..*/, '');
      // An archive exists while its mark does.
      if (existsSync(join(archives, `${id}.json`)))
        found.push({ id, repository: 'local', captureId: id.slice(id.indexOf('-') + 1) });
    }
  }
  return found;
}

export function restic(lab: Lab, ...args: string[]) {
  const global = ['--repo', lab.repositories.nas!, '--password-file', lab.passwordFile, '--no-cache'];
  return run('restic', [...global, ...args], { maxBuffer: 64e6 });
}

/** Restores a snapshot with the bare engine and says what came out: rows of its database, and all its media. */
export async function bareRestore(lab: Lab, snapshot: BareSnapshot): Promise<{ rows: number[]; media: string[] }> {
  await mkdir(join(lab.dir, 'bare'), { recursive: true });
  const target = await mkdtemp(join(lab.dir, 'bare', 'restore-'));
  try {
    if (snapshot.repository === 'nas') await restic(lab, 'restore', snapshot.id, '--no-lock', '--target', target);
    else {
      const dir = join(lab.repositories.local!, 'cms');
      const file = readdirSync(dir).find((name) => name.startsWith(`${snapshot.id}.tar.`)) ?? '';
      await run('tar', ['-xf', join(dir, file), '-C', target]);
    }
    const { stdout } = await run('find', [target, '-path', '*/databases/*', '-name', '*.sqlite']);
    const [database = ''] = stdout.trim().split('\n');
    const { stdout: integrity } = await run('sqlite3', [database, 'PRAGMA integrity_check']);
    if (integrity.trim() !== 'ok') throw new Error(`${snapshot.id}: integrity_check says ${integrity}`);
    return { rows: await rowsOf(database), media: await fingerprints(join(target, lab.site.media)) };
  } finally {
    await rm(target, { recursive: true, force: true });
  }
}

/** Processes that have to do with this lab and are neither its site, its worker nor its watchdog. */
export function strays(lab: Lab): string[] {
  const table = processes();
  const known = new Set([process.pid, lab.worker()?.pid, lab.watchdogPid(), lab.site.pid()]);
  const ours = (pid: number): boolean => {
    // Helpers of the site and of the watchdog end with them; of a worker that works, too.
    for (let at = pid; at > 1; at = table.get(at)?.parent ?? 0) if (known.has(at)) return true;
    return false;
  };
  return [...table]
    .filter(([pid, { text }]) => text.includes(lab.dir) && !ours(pid))
    .map(([pid, { command }]) => `${pid} ${command}`);
}

/** Pid → parent, command line, and all of its command line and environment. A zombie is no process any more. */
function processes(): Map<number, { parent: number; command: string; text: string }> {
  const table = new Map<number, { parent: number; command: string; text: string }>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' || state === 'X') continue;
      const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const text = `${command} ${readFileSync(`/proc/${name}/environ`, 'utf8')}`;
      table.set(Number(name), { parent: Number(parent), command, text });
    } catch {} // It ended meanwhile.
  }
  return table;
}

/** Half-done things: `.partial` files and directories of ours, trees beside the site, work directories, journalled groups. */
export async function leftovers(lab: Lab): Promise<string[]> {
  const { stdout } = await run('find', [
    ...[lab.state, join(lab.dir, 'repositories'), lab.restored, lab.scratch, dirname(lab.site.root)],
    ...['-path', join(lab.dir, 'bare'), '-prune', '-o'],
    ...['(', '-name', '*.partial', '-o', '-name', '.site.holdfast-*', '-o', '-name', 'tmp-*', ')', '-print'],
  ]);
  const groups = readdirSync(join(lab.state, 'groups')).filter((name) => name.endsWith('.json'));
  return [...new Set([...stdout.split('\n').filter(Boolean), ...groups.map((name) => `group ${name}`)])];
}

/** Locks that somebody holds, and a record that is not at rest. */
export async function locks(lab: Lab): Promise<string[]> {
  const found: string[] = [];
  const site = join(lab.state, 'sites/cms');
  const record = JSON.parse(readFileSync(join(site, 'record.json'), 'utf8')) as { phase: string; holder?: object };
  if (record.phase !== 'idle' || record.holder) found.push(`record: ${JSON.stringify(record)}`);
  for (const lock of ['fence.lock', 'record.lock'].filter((name) => existsSync(join(site, name)))) {
    const free = await run('flock', ['-n', join(site, lock), 'true']).then(
      () => true,
      () => false,
    );
    if (!free) found.push(lock);
  }
  // restic itself passes over one that was killed before it had its name.
  if (existsSync(join(lab.repositories.nas!, 'locks')))
    for (const name of readdirSync(join(lab.repositories.nas!, 'locks')))
      if (/^[0-9a-f]{64}$/.test(name)) found.push(`restic lock ${name}`);
  return found;
}

/** Final reports on the host's disk, oldest first. */
export function reports(lab: Lab, site = 'cms'): Report[] {
  const dir = join(lab.state, 'reports', site);
  if (!existsSync(dir)) return [];
  const files = readdirSync(dir).filter((name) => name.endsWith('.json'));
  const all = files.map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Report);
  return all.sort((a, b) => a.startedAt.localeCompare(b.startedAt));
}
