import { chmod, chown, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import type { Context } from '../contracts.js';
import { writeDurable } from '../site/durable.js';

/** What of a repository's config.toml matters to a backup. */
export interface MediagitConfig {
  /** `filesystem`, or a provider's. A clone has no such section: its objects lie in it. */
  backend: string;
  /** As written: absolute, or relative to the work tree. */
  basePath?: string;
  /** Whether a key or password of a provider or a remote stands in it. */
  secrets: boolean;
}

const SECRET =
  /^\s*["']?[\w.-]*(secret|password|access_key|account_key|api_key|sas|token|credential)[\w-]*["']?\s*=\s*["'][^"']/im;
const USERINFO = /:\/\/[^/\s"'@]+:[^/\s"'@]+@/;

export function parseConfig(text: string): MediagitConfig {
  let section = '';
  const storage: Record<string, string> = {};
  for (const line of text.split('\n')) {
    section = headerOf(line) ?? section;
    const [, name = '', value = ''] = /^\s*([\w.]+)\s*=\s*["']([^"']*)["']/.exec(line) ?? [];
    const key = section === '' ? name : `${section}.${name}`;
    if (key.startsWith('storage.')) storage[key.slice('storage.'.length)] = value;
  }
  return {
    backend: storage.backend ?? 'filesystem',
    ...(storage.base_path === undefined ? {} : { basePath: storage.base_path }),
    secrets: SECRET.test(text) || USERINFO.test(text),
  };
}

export interface Remote {
  url: string;
  token?: string;
}

/** Its remotes by name: `[remotes.backup] url = "http://…"`. */
export function parseRemotes(text: string): Record<string, Remote> {
  let section = '';
  const found: Record<string, Partial<Remote>> = {};
  for (const line of text.split('\n')) {
    section = headerOf(line) ?? section;
    const [, key = '', value = ''] = /^\s*([\w.-]+)\s*=\s*["']([^"']*)["']/.exec(line) ?? [];
    const [, name, what] = /^remotes\.([\w-]+)\.(url|token)$/.exec(section ? `${section}.${key}` : key) ?? [];
    if (name && what) found[name] = { ...found[name], [what]: value };
  }
  return Object.fromEntries(
    Object.entries(found).flatMap(([name, { url, ...more }]) => (url ? [[name, { url, ...more }]] : [])),
  );
}

/** The config with another object path; without its remotes where nothing may be sent from it. */
export function rewriteConfig(text: string, basePath: string | undefined, remotes: boolean): string {
  let section = '';
  const lines = text.split('\n').filter((line) => {
    section = headerOf(line) ?? section;
    return remotes || !(section === 'remotes' || section.startsWith('remotes.') || /^\s*remotes\s*[.=]/.test(line));
  });
  section = '';
  const rewritten = lines.map((line) => {
    section = headerOf(line) ?? section;
    const key = section === 'storage' ? /^(\s*base_path\s*=\s*)/ : /^(\s*storage\.base_path\s*=\s*)/;
    const [, before] = key.exec(line) ?? [];
    return before && basePath !== undefined ? `${before}${JSON.stringify(basePath)}` : line;
  });
  return rewritten.join('\n');
}

function headerOf(line: string): string | undefined {
  return /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line)?.[1]?.replaceAll(/["'\s]/g, '');
}

export async function readConfig(git: string): Promise<MediagitConfig> {
  return parseConfig(await readFile(join(git, 'config.toml'), 'utf8'));
}

/**
 * A repository that lies at another place than it did still names the old one: the program would read, and write, the objects
 * of the original. Rewrites `base_path` of the config in `git` from below `from` to below `to`, with owner and mode as they were.
 */
export async function moveBasePath(git: string, from: string, to: string, ctx: Context): Promise<void> {
  const file = join(git, 'config.toml');
  const text = await readFile(file, 'utf8').catch(() => undefined);
  const old = text === undefined ? undefined : parseConfig(text).basePath;
  if (text === undefined || old === undefined || !isAbsolute(old)) return;
  if (!isWithin(old, from)) {
    ctx.note(
      `base_path of config.toml still names the place of the original's objects: set it before you use the copy`,
    );
    return;
  }
  const { mode, uid, gid } = await stat(file);
  await writeDurable(file, rewriteConfig(text, resolve(to, relative(from, old)), true));
  if (process.getuid?.() === 0) await chown(file, uid, gid);
  await chmod(file, mode & 0o7777);
  ctx.note(`base_path of config.toml now names the objects of the restored copy`);
}
