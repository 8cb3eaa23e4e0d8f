import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { AppLab } from './app-lab.js';
import { bareSnapshots, locks, restic, strays } from './lab-look.js';

const run = promisify(execFile);

export interface Bare {
  id: string;
  repository: string;
  captureId: string;
}

/** What lies in each repository, by its own tool or its own files. */
export async function snapshotsOf({ lab, app }: AppLab): Promise<Bare[]> {
  return [...(await bareSnapshots(lab)), ...((await app.snapshots?.()) ?? [])];
}

/** Restores one with its engine's own tool and says what came out. */
export async function restoreBare({ lab, app }: AppLab, snapshot: Bare): Promise<string[]> {
  await mkdir(join(lab.dir, 'bare'), { recursive: true });
  const tree = await mkdtemp(join(lab.dir, 'bare', 'restore-'));
  try {
    if (app.unpack) await app.unpack(snapshot, tree);
    else if (snapshot.repository === 'nas') await restic(lab, 'restore', snapshot.id, '--no-lock', '--target', tree);
    else {
      const dir = join(lab.repositories.local!, 'cms');
      const file = readdirSync(dir).find((name) => name.startsWith(`${snapshot.id}.tar.`)) ?? '';
      await run('tar', ['-xf', join(dir, file), '-C', tree]);
    }
    return await app.lookIn(tree, join(tree, lab.state, 'staging/cms/current'));
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** Processes, mounts and locks that are left, each in a few words. */
export async function leftRunning({ lab, app }: AppLab): Promise<string[]> {
  const own = new Set(app.pids().map(String));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return [
    ...strays(lab).filter((line) => !own.has(line.split(' ')[0] as string)),
    ...mounts.filter((line) => line.includes(lab.dir)).map((line) => `mount ${line}`),
    ...(await locks(lab)),
  ];
}

/**
 * Files and directories of ours that no completed run leaves: half-done ones, trees beside the site, scratch, staging, work
 * directories, journalled groups. What the host notes as kept, or as to be cleared later, is told apart by `noted`.
 */
export async function leftOnDisk({ lab, app }: AppLab): Promise<string[]> {
  const half = ['-name', '*.partial*', '-o', '-name', 'tmp-*', '-o', '-name', 'discarded-*'];
  const { stdout } = await run('find', [
    ...[lab.state, join(lab.dir, 'repositories'), lab.restored],
    // The directory of half-done uploads stays; what is in it does not.
    ...['(', '(', ...half, ')', '-not', '-path', '*/.partial', '-o', '-path', '*/.partial/*', ')', '-print'],
  ]);
  const within = (dir: string, wanted: (name: string) => boolean = () => true) =>
    existsSync(dir)
      ? readdirSync(dir)
          .filter(wanted)
          .map((name) => join(dir, name))
      : [];
  return [
    ...new Set([
      ...stdout.split('\n').filter(Boolean),
      ...within(dirname(app.root), (name) => /^\..*\.holdfast-/.test(name)),
      ...within(lab.scratch),
      ...within(lab.restored),
      ...within(join(lab.state, 'staging/cms')),
      ...within(join(lab.state, 'work'), (name) => name !== 'cache'),
      ...within(join(lab.state, 'groups'), (name) => name.endsWith('.json')),
    ]),
  ];
}

/** What the host has noted of this site: what it put aside, and what it will clear. */
export function notedBy({ lab }: AppLab): string {
  const read = (name: string) => {
    const path = join(lab.state, 'sites/cms', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  return `${read('aside.json')}\n${read('trees.json')}`;
}

/** Puts away what restores have kept, so that it is not the next case's. */
export async function tidy({ app }: AppLab): Promise<void> {
  const above = dirname(app.root);
  for (const name of readdirSync(above))
    if (/^\..*\.(before|holdfast)-/.test(name)) await rm(join(above, name), { recursive: true });
}
