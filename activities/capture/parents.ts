import { chmod, chown, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import type { Manifest } from '../../src/core/manifest.js';
import { exists } from './copy.js';

type Directories = NonNullable<Manifest['directories']>;

/** Owner and mode of a site's root and of all directories between it and these paths: no list has them, and a restore must make them. */
export async function parentsOf(root: string, paths: Iterable<string>): Promise<Directories> {
  const seen = new Set([root]);
  for (const path of paths)
    for (let at = dirname(path); at.startsWith(`${root}/`) && !seen.has(at); at = dirname(at)) seen.add(at);
  const found: Directories = [];
  for (const directory of [...seen].sort()) {
    const stats = await stat(directory).catch(() => undefined);
    if (!stats?.isDirectory()) continue;
    const { mode, uid, gid } = stats;
    found.push({ path: relative(root, directory), mode: mode & 0o7777, uid, gid });
  }
  return found;
}

/** Gives the directories of an arranged site the owner and mode that they had; the worker's umask made them. */
export async function likeBefore(site: string, directories: Directories): Promise<void> {
  // Innermost first: one that its owner may not enter is closed last.
  for (const { path, mode, uid, gid } of [...directories].reverse()) {
    const directory = join(site, path);
    if (!(await exists(directory))) continue;
    if (process.getuid?.() === 0) await chown(directory, uid, gid);
    await chmod(directory, mode);
  }
}
