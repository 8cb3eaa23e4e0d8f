import { existsSync, readdirSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { parse } from 'yaml';
import { apps } from '../apps/index.js';
import { gatherFacts } from '../config/facts.js';
import { NAME } from '../core/names.js';
import { suggestion } from '../core/near.js';
import { CliError } from './context.js';
import { EXIT } from './exit-codes.js';

/** What a person said; the rest is looked for. */
export interface Wanted {
  cwd: string;
  root: string | undefined;
  name: string | undefined;
  app: string | undefined;
  compose: string | undefined;
  unit: string | undefined;
  none: boolean;
}

export interface Found {
  name: string;
  app: string;
  root: string;
  service: { compose: string; names: string[] } | { systemd: string } | 'none';
  /** SQLite databases, relative to root: for an app that does not know its own. */
  databases: string[];
  /** Why it is so, one line each. */
  because: string[];
}

/** By what an application's own services run, and not the databases and proxies beside them. */
const IMAGES: Record<string, RegExp> = {
  videocms: /videocms/i,
  seafile: /seafile-(mc|pro-mc)\b/i,
  varasto: /\/varasto\b/i,
};

/** Backed up as they lie: no service of theirs is stopped, nor one that is there for something else. */
const NEVER_STOPPED = ['mediagit', 'apiscp'];

const COMPOSE_NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

/** Finds out what is installed. Throws CliError where it cannot tell how the application is stopped. */
export async function discover(wanted: Wanted): Promise<Found> {
  const { cwd } = wanted;
  const start = resolve(cwd, wanted.root ?? '.');
  // `npx holdfast` works in its checkout alone, where the compose file is that of Temporal and of our own worker.
  if (!wanted.root && !wanted.compose && (await packageName(start)) === 'holdfast')
    throw new CliError(
      EXIT.usage,
      `${start} is Holdfast itself; name your application's directory: holdfast init --root /srv/...`,
    );
  const looked =
    wanted.unit || wanted.none
      ? undefined
      : COMPOSE_NAMES.map((name) => join(start, name)).find((file) => existsSync(file));
  const composeFile = wanted.compose ? resolve(cwd, wanted.compose) : looked;
  const root = wanted.root || !composeFile ? start : dirname(composeFile);
  const because: string[] = [];
  const services = composeFile ? await composeServices(composeFile) : [];
  const app = wanted.app ?? recognise(root, services, because);
  const runs = !NEVER_STOPPED.includes(app) || wanted.compose !== undefined;
  if (runs && !composeFile && !wanted.unit && !wanted.none)
    throw new CliError(
      EXIT.usage,
      `no compose file in ${start}; name one with --compose, a systemd unit with --unit, or say --none`,
    );
  if (!Object.hasOwn(apps, app))
    throw new CliError(EXIT.usage, `there is no application "${app}"; ${suggestion(app, Object.keys(apps))}`);
  const own = services.filter(({ image }) => IMAGES[app]?.test(image));
  const names = (own.length > 0 ? own : services).map(({ name }) => name);
  if (composeFile && runs) because.push(`stopped: ${names.join(', ')} of ${composeFile}`);
  const databases = app === 'generic' ? await sqliteFiles(root) : [];
  if (app === 'generic')
    because.push(
      databases.length > 0
        ? `databases: ${databases.join(', ')}`
        : 'no SQLite database found; name yours under options.databases',
    );
  const name = wanted.name ?? nameOf(root);
  if (!NAME.test(name))
    throw new CliError(EXIT.usage, `"${name}" is no name; use lower-case letters, digits and dashes`);
  const service =
    composeFile && runs
      ? { compose: relative(root, composeFile), names }
      : wanted.unit
        ? { systemd: wanted.unit }
        : ('none' as const);
  return { name, app, root, service, databases, because };
}

async function packageName(dir: string): Promise<string | undefined> {
  const text = await readFile(join(dir, 'package.json'), 'utf8').catch(() => '{}');
  return /"name":\s*"([^"]*)"/.exec(text)?.[1];
}

async function composeServices(file: string): Promise<{ name: string; image: string }[]> {
  const fail = (why: string) => new CliError(EXIT.usage, `${file} ${why}; name another with --compose`);
  const text = await readFile(file, 'utf8').catch(() => {
    throw fail('cannot be read');
  });
  let parsed: { services?: Record<string, { image?: unknown } | null> } | null;
  try {
    parsed = parse(text);
  } catch {
    throw fail('is no YAML');
  }
  const services = Object.entries(parsed?.services ?? {});
  if (services.length === 0) throw fail('has no services');
  return services.map(([name, service]) => ({ name, image: String(service?.image ?? '') }));
}

function recognise(root: string, services: { image: string }[], because: string[]): string {
  const byImage = services.find(({ image }) => IMAGES.videocms?.test(image));
  const byPlace = ['database/database.sqlite', 'videos'].every((place) => existsSync(join(root, place)));
  if (byImage || byPlace) {
    because.push(byImage ? `VideoCMS: a service runs ${byImage.image}` : 'VideoCMS: database/ and videos/ are there');
    return 'videocms';
  }
  const seafile = services.find(({ image }) => IMAGES.seafile?.test(image));
  const data = ['seafile-data', 'seafile/seafile-data'].find((place) => existsSync(join(root, place)));
  if (seafile || data) {
    because.push(seafile ? `Seafile: a service runs ${seafile.image}` : `Seafile: ${data}/ is there`);
    if (!existsSync(join(root, 'seafile-data/seafile.db')))
      because.push(
        'no seafile.db: give the server of its databases under options.mysql, and its data as root (docs/seafile.md)',
      );
    return 'seafile';
  }
  return byPlaces(root, services, because) ?? 'generic';
}

function byPlaces(root: string, services: { image: string }[], because: string[]): string | undefined {
  const there = (...places: string[]) => places.every((place) => existsSync(join(root, place)));
  const say = (app: string, why: string) => {
    because.push(why);
    return app;
  };
  if (there('.mediagit/HEAD')) return say('mediagit', 'MediaGit: .mediagit/ is there; nothing is stopped');
  const accounts = existsSync(root) ? readdirSync(root).filter((name) => /^site\d+$/.test(name)) : [];
  if (accounts.some((name) => there(`${name}/shadow`, `${name}/info`)))
    return say('apiscp', 'ApisCP: accounts are there; nothing is stopped');
  const image = services.find((each) => IMAGES.varasto?.test(each.image))?.image;
  if (image || there('varasto.db'))
    return say('varasto', image ? `Varasto: a service runs ${image}` : 'Varasto: varasto.db is there');
  return undefined;
}

/** By what they are, not by what they are called. */
async function sqliteFiles(root: string): Promise<string[]> {
  const { entries } = await gatherFacts(root);
  const found: string[] = [];
  for (const { path, dir } of entries.filter((entry) => !entry.dir && !/-(wal|shm|journal)$/.test(entry.path))) {
    if (!dir && (await isSqlite(path))) found.push(relative(root, path));
  }
  return found;
}

async function isSqlite(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (!file) return false;
  try {
    if (!(await file.stat()).isFile()) return false;
    const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    return buffer.toString('latin1') === 'SQLite format 3\0';
  } finally {
    await file.close();
  }
}

function nameOf(root: string): string {
  const name = basename(root)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, 40);
  return NAME.test(name) ? name : 'site';
}
