import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { isWithin } from '../../src/apps/coverage.js';
import { MediagitOptions, mediagitPlaces } from '../../src/apps/mediagit.js';
import { formatBytes } from '../../src/core/durations.js';
import type { Plan } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { findProgram } from '../tools/programs.js';
import { readConfig } from './mediagit-config.js';

export function placesOf(plan: Plan) {
  const options = MediagitOptions.parse(plan.options);
  return { options, ...mediagitPlaces(plan.root, options) };
}

/** What must hold of the live repository: it is one, its objects lie where the config says, and nothing removes objects now. */
export async function preflightMediagit(plan: Plan, ctx: Context): Promise<void> {
  const { git, options } = placesOf(plan);
  // Outside a repository the program itself says that all is well, and makes an empty one.
  if (!(await lstat(resolve(git, 'HEAD')).catch(() => undefined)))
    throw ctx.fail('SourceMissing', 'there is no MediaGit repository: HEAD is missing', {
      advice: 'correct root or options.repository (`.` for one without a work tree)',
      details: { places: [git] },
    });
  const config = await readConfig(git).catch(() => undefined);
  if (!config) ctx.note('config.toml is missing: MediaGit itself will not find its objects');
  else await storageFits(plan, config, ctx);
  if (options.storage === 'local' && !findProgram('zstd'))
    throw ctx.fail('ToolMissing', 'the program zstd is not installed; MediaGit encodes objects with it', {
      advice: 'install zstd',
    });
  const collector = await collecting(plan);
  if (collector)
    throw ctx.fail(
      'StillWriting',
      `mediagit ${collector.verb} (pid ${collector.pid}) removes objects of this repository`,
      {
        advice: 'wait for its end; gc belongs before or after a backup, never into it',
      },
    );
  if (config?.secrets) warnOfKeys(plan, ctx);
  for (const line of await sizes(plan, ctx)) ctx.note(line);
}

async function storageFits(plan: Plan, config: Awaited<ReturnType<typeof readConfig>>, ctx: Context): Promise<void> {
  const { git, objects, options } = placesOf(plan);
  const here = config.backend === 'filesystem';
  if (here !== (options.storage === 'local'))
    throw ctx.fail(
      'InvalidConfig',
      `the backend of config.toml is ${config.backend}, options.storage is ${options.storage}`,
      {
        advice: `set options: { storage: ${here ? 'local' : 'cloud'} }`,
      },
    );
  if (!here || config.basePath === undefined) return;
  const at = isAbsolute(config.basePath) ? config.basePath : resolve(git, '..', config.basePath);
  if (isWithin(objects, at) || isWithin(at, objects)) return;
  throw ctx.fail('InvalidConfig', 'base_path of config.toml names other objects than would be backed up', {
    advice: 'correct it, or set options.objects to it',
    details: { places: [at, objects] },
  });
}

function warnOfKeys(plan: Plan, ctx: Context): void {
  const open = plan.repositories.filter(({ engine, recipients }) => engine !== 'restic' && recipients.length === 0);
  if (open.length > 0)
    ctx.note(
      `config.toml holds keys, and ${open.map(({ name }) => name).join(', ')} is not encrypted: whoever reads it has them`,
    );
}

/** A program that removes objects of this very repository; MediaGit has no lock that would tell. */
async function collecting(plan: Plan): Promise<{ pid: string; verb: string } | undefined> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    const at = argv.findIndex((word) => basename(word) === 'mediagit');
    // A script's own interpreter stands before it.
    if (at < 0 || at > 1) continue;
    const words = argv.slice(at + 1);
    const verb = words.includes('gc')
      ? 'gc'
      : words.includes('fsck') && words.includes('--repair')
        ? 'fsck --repair'
        : '';
    if (verb === '') continue;
    const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
    const places = [cwd ?? plan.root, ...words.filter(isAbsolute)];
    if (places.some((place) => isWithin(place, plan.root))) return { pid, verb };
  }
  return undefined;
}

/** What a backup will be about as large as: objects, manifests, all (`du`, as the application's own page has it). */
export async function sizes(plan: Plan, ctx: Context): Promise<string[]> {
  const { git, objects, options } = placesOf(plan);
  const of = async (...paths: string[]) => {
    const { stdout } = await ctx.run('du', ['-scb', '--', ...paths], { ok: [0, 1] });
    return Number(stdout.trim().split('\n').at(-1)?.split('\t')[0] ?? 0);
  };
  if (options.storage === 'cloud') return [`size: ${formatBytes(await of(git))}; the objects are kept by the provider`];
  const manifests = [resolve(objects, 'objects/ma/ni'), resolve(objects, 'ma/ni')];
  const there = await Promise.all(manifests.map((path) => lstat(path).catch(() => undefined)));
  const [stored, total] = [await of(objects), await of(git, ...(isWithin(objects, git) ? [] : [objects]))];
  const described = there.some(Boolean) ? await of(...manifests.filter((_, i) => there[i])) : 0;
  return [
    `size: objects ${formatBytes(stored)}, of these manifests ${formatBytes(described)}; in all ${formatBytes(total)}`,
  ];
}
