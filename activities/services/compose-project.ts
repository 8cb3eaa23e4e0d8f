import { access, readFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { Context } from '../contracts.js';
import { type Compose, compose, findCompose } from '../tools/docker.js';

/** What `config` of either Compose prints; only what is used here. */
interface Config {
  name?: string;
  services?: Record<string, { volumes?: (string | Mount)[] }>;
  volumes?: Record<string, { name?: string } | null>;
}

interface Mount {
  type?: string;
  source?: string;
  target?: string;
}

export interface DeclaredMount {
  service: string;
  target: string;
  /** A bind's path on this host, or a volume's name as docker has it; none for an anonymous volume. */
  bind?: string;
  volume?: string;
  /** The volume's key in the file. */
  key?: string;
}

/** The files that Compose itself would read: an override beside a file is part of it. */
export async function composeFiles(file: string): Promise<string[]> {
  const extension = extname(file);
  const override = join(dirname(file), `${basename(file, extension)}.override${extension}`);
  return (await exists(override)) ? [file, override] : [file];
}

/**
 * The project's name, by Compose's own precedence: `COMPOSE_PROJECT_NAME` of the `.env` beside the file, `name:` in the
 * file, the directory. Read here because a call of Compose v1 takes half a second, and an application waits for it.
 */
export async function projectName(file: string, ctx: Context): Promise<string> {
  const env = await readFile(join(dirname(file), '.env'), 'utf8').catch(() => '');
  const set = /^\s*(?:export\s+)?COMPOSE_PROJECT_NAME\s*=\s*(["']?)([^"'#\n]*?)\1\s*(?:#.*)?$/m.exec(env)?.[2];
  const text = await readFile(file, 'utf8').catch(() => '');
  const named = /^name\s*:\s*(["']?)(.+?)\1\s*(?:#.*)?$/m.exec(text)?.[2];
  const name = set || named;
  if (!name) return normalised(basename(dirname(resolve(file))));
  if (!name.includes('$')) return name;
  const { name: resolved } = await readConfig(await findCompose(ctx), file, ctx);
  if (!resolved)
    throw ctx.fail('ServiceUnknown', `the project name of ${file} cannot be told`, { advice: 'set `project`' });
  return resolved;
}

/** Both versions fold case and drop other characters; v2 also drops leading `_` and `-`, which v1 let docker refuse. */
function normalised(directory: string): string {
  return directory
    .toLowerCase()
    .replace(/[^-_a-z0-9]/g, '')
    .replace(/^[-_]+/, '');
}

/** The compose file as Compose understands it. Throws ServiceUnknown where it does not. */
export async function readConfig(tool: Compose, file: string, ctx: Context, project?: string): Promise<Config> {
  const json = tool.major >= 2 ? ['--format', 'json'] : [];
  const { stdout } = await compose(tool, await composeFiles(file), project, ['config', ...json], ctx, {
    // Services of every profile are part of the application, whether or not it is switched on now.
    env: tool.major >= 2 ? { COMPOSE_PROFILES: '*' } : {},
  }).catch((cause) => {
    throw ctx.fail('ServiceUnknown', `compose cannot read ${file}`, {
      advice: 'try `docker compose config` there; put its variables into the .env beside it',
      cause,
    });
  });
  return parse(stdout) as Config;
}

/** Every bind and volume that the file declares, of all its services. */
export function declaredMounts(config: Config, project: string, file: string): DeclaredMount[] {
  return Object.entries(config.services ?? {}).flatMap(([service, { volumes = [] }]) =>
    volumes.map(toMount).flatMap(({ type, source, target = '' }): DeclaredMount[] => {
      if (type === 'bind' && source) return [{ service, target, bind: resolve(dirname(file), source) }];
      if (type !== 'volume') return [];
      if (!source) return [{ service, target }];
      return [{ service, target, key: source, volume: config.volumes?.[source]?.name ?? `${project}_${source}` }];
    }),
  );
}

/** v1 prints the short form, `source:target:mode`, with binds made absolute. */
function toMount(mount: string | Mount): Mount {
  if (typeof mount !== 'string') return mount;
  const [first = '', second] = mount.split(':');
  if (second === undefined) return { type: 'volume', target: first };
  return { type: /^[./~]/.test(first) ? 'bind' : 'volume', source: first, target: second };
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
