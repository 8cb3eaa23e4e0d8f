import { basename, isAbsolute, relative, resolve, sep } from 'node:path';
import picomatch from 'picomatch';
import type { FileSetSpec } from '../core/plan.js';
import type { SiteFacts } from './contract.js';

/** What an app's plan accounts for: captured, or left out on purpose. Paths are absolute. */
export interface Covered {
  databases: string[];
  fileSets: Pick<FileSetSpec, 'root' | 'include' | 'exclude'>[];
  /** Absolute paths (with all below them) and names of volumes that are left out by design or by the site's owner. */
  leftOut: string[];
}

const SIDECARS = ['', '-wal', '-shm', '-journal'];

/**
 * Entries and volumes that nothing accounts for, so that a person learns of them: `caddy_data`, `backup.tar`. A
 * directory is looked into where only a part of it is accounted for.
 */
export function uncovered(root: string, facts: SiteFacts, covered: Covered): string[] {
  const known = new Set(covered.databases.flatMap((path) => SIDECARS.map((suffix) => path + suffix)));
  const sets = covered.fileSets.map(setCoverage);
  const whole = (path: string) =>
    known.has(path) || covered.leftOut.some((out) => isWithin(path, out)) || sets.some((set) => set.whole(path));
  const partly = (path: string) =>
    [...known, ...covered.leftOut].some((one) => isWithin(one, path)) || sets.some((set) => set.partly(path));
  const found: string[] = [];
  for (const { path, dir } of facts.entries) {
    const top = resolve(path, '..') === resolve(root);
    // What lies deeper is told by its parent, unless the parent is only partly accounted for.
    if (!top && (whole(resolve(path, '..')) || !partly(resolve(path, '..')))) continue;
    if (!whole(path) && !(dir && partly(path))) found.push(relative(root, path) + (dir ? '/' : ''));
  }
  // Where all of it is accounted for, or its parent says it all, each name is of no interest.
  for (const { path, looked } of facts.cut ?? [])
    if (!whole(path) && partly(path))
      found.push(`what is in ${relative(root, path) || 'the root'} beyond the first ${looked} names`);
  for (const { name, path } of facts.volumes) {
    if (covered.leftOut.includes(name)) continue;
    if (path !== undefined && (isWithin(path, root) || whole(path) || partly(path))) continue;
    found.push(path === undefined ? `volume ${name}` : `volume ${name} (${path})`);
  }
  return [...new Set(found)];
}

function setCoverage({ root, include, exclude }: Pick<FileSetSpec, 'root' | 'include' | 'exclude'>) {
  const matches = (patterns: string[]) =>
    picomatch(
      patterns.flatMap((pattern) => [pattern, `${pattern.replace(/\/+$/, '')}/**`]),
      { dot: true },
    );
  const included = include.length > 0 ? matches(include) : () => true;
  const excluded = exclude.length > 0 ? matches(exclude) : () => false;
  return {
    /** Excluding is a decision too, so it accounts for a path as well as taking it does. */
    whole: (path: string) => {
      if (!isWithin(path, root)) return false;
      const below = relative(root, path);
      return below === '' ? include.length === 0 : included(below) || excluded(below);
    },
    partly: (path: string) =>
      isWithin(root, path) || include.some((pattern) => isWithin(resolve(root, picomatch.scan(pattern).base), path)),
  };
}

/** Whether `path` is `parent` or lies below it. */
export function isWithin(path: string, parent: string): boolean {
  const from = relative(parent, path);
  return from === '' || (from !== '..' && !from.startsWith(`..${sep}`) && !isAbsolute(from));
}

/** `Library DB.sqlite3` → `library-db`: a database's name in reports and file names. */
export function nameOf(path: string): string {
  const name = basename(path)
    .replace(/\.[^.]+$/, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '');
  return name || 'database';
}

/** The path relative to `root` as a pattern that matches it alone: characters of globs lose their meaning. */
export function literal(path: string): string {
  return path.replace(/[\\*?[\]{}()!+@|]/g, '\\$&');
}
