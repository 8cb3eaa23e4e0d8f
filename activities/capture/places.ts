import { opendir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import picomatch from 'picomatch';
import { isWithin } from '../../src/apps/coverage.js';
import type { FileSetSpec } from '../../src/core/plan.js';
import { readLines } from './lines.js';

/**
 * Where a set begins: the paths (relative to its root, none inside another) that its include patterns name, as far as they exist. Links are not
 * followed. A walk that begins there never enters what no pattern can match: another view of the same files, say.
 */
export async function places(
  set: Pick<FileSetSpec, 'root' | 'include'>,
  unreadable: (path: string) => void = () => {},
): Promise<string[]> {
  if (set.include.length === 0) return [''];
  const found = new Set<string>();
  for (const pattern of set.include) {
    const parts = pattern.replace(/\/+$/, '').split('/');
    for (const path of await expand(set.root, '', parts, unreadable)) found.add(path);
  }
  const all = [...found].sort();
  return all.filter((path) => path === '' || !all.some((other) => other !== path && isWithin(path, other)));
}

/** Entries of a sorted list that lie in no other one: a directory stands for all below it. Paths as the list has them. */
export async function outermost(list: string): Promise<string[]> {
  const tops = new Set<string>();
  for await (const text of readLines(list)) {
    const { p } = JSON.parse(text) as { p: string };
    let at = p;
    do at = dirname(at);
    while (at !== '.' && !tops.has(at));
    if (at === '.') tops.add(p);
  }
  return [...tops];
}

async function expand(
  root: string,
  at: string,
  parts: string[],
  unreadable: (path: string) => void,
): Promise<string[]> {
  const [part, ...rest] = parts;
  // What may lie at any depth is looked for from here.
  if (part === undefined || part.includes('**')) return [at];
  const fits = picomatch(part, { dot: true, flags: 's' });
  const found: string[] = [];
  const dir = await opendir(join(root, at)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') unreadable(at || '.');
    return undefined;
  });
  if (!dir) return [];
  for await (const entry of dir) {
    if (!fits(entry.name)) continue;
    const path = at ? `${at}/${entry.name}` : entry.name;
    if (rest.length === 0) found.push(path);
    else if (entry.isDirectory()) found.push(...(await expand(root, path, rest, unreadable)));
  }
  return found;
}
