import { existsSync } from 'node:fs';
import { link, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { AdoptedPart } from '../core/adopt.js';
import { shortId } from '../core/names.js';
import type { RepositorySpec } from '../core/plan.js';
import { parseCredential, parseReference } from './adopt-command.js';
import { type Call, type Cli, CliError } from './context.js';
import { EXIT } from './exit-codes.js';

const CONFIG = 'holdfast.yaml';
const list = (text: string, before: string[] = []) => [...before, text];

export function register(program: Command, cli: Cli): void {
  program
    .command('adopt <location>')
    .description('rebuild ./holdfast.yaml from a repository on an empty machine')
    .option('--json', 'one JSON object instead of text')
    .option('--engine <name>', 'restic, archive or ubackup (default: what the location looks like)')
    .option('--password <reference>', 'the password of restic: file:PATH or env:NAME')
    .option(
      '--identity <reference>',
      'the private key that reads what is encrypted to a public one: file:PATH or env:NAME',
    )
    .option('--credential <name=reference>', 'a variable of the engine: AWS_ACCESS_KEY_ID=env:NAME', list)
    .option('--site <id>', 'only this site', list)
    .option('--into <directory>', "where each site's manifest and RESTORE.md go (default: ./holdfast-adopted)")
    .action(cli.action((call) => adopt(call)));
}

async function adopt(call: Call): Promise<number> {
  const { cli, options } = call;
  const target = resolve(cli.cwd, CONFIG);
  if (existsSync(target)) throw overwrites(target);
  const into = resolve(cli.cwd, (options.into as string | undefined) ?? 'holdfast-adopted');
  const { adoptRepository } = await import('./adopt-repository.js');
  const { localContext } = await import('../../activities/local-context.js');
  const { defaultStateDir, openState } = await import('../../activities/site/state.js');
  const state = await openState(defaultStateDir(cli.env));
  const ctx = await localContext('adopt', { stateDir: state.root });
  const spec = await specOf(call);
  const adopted = await adoptRepository(spec, { into, state, sites: options.site as string[] | undefined }, ctx);
  const parts: AdoptedPart[] = adopted.map(({ siteId, snapshot, config }) => ({
    site: siteId,
    capturedAt: snapshot.capturedAt,
    config,
  }));
  const { mergeConfigs, secretFiles } = await import('../core/adopt.js');
  const { config, notes } = mergeConfigs(parts);
  if (!locations(config).includes(spec.location))
    notes.push(`no repository of the config lies at ${spec.location}; correct its location`);
  const missing = secretFiles(config).filter((file) => !existsSync(file));
  await writeNew(target, await textOf(config, spec));
  for (const { siteId, snapshot, reports } of adopted)
    call.say(`${siteId}: snapshot ${shortId(snapshot)} of ${snapshot.capturedAt}, ${reports} reports`);
  call.say(`wrote ./${CONFIG}; what describes each site lies in ${into}`);
  for (const note of notes) call.say(`note: ${note}`);
  for (const file of missing) call.say(`put back: ${file}`);
  call.say('next: holdfast config validate');
  call.emit({
    config: target,
    sites: adopted.map(({ siteId, snapshot, directory, reports }) => ({ siteId, snapshot, directory, reports })),
    notes,
    missing,
  });
  return EXIT.completed;
}

async function specOf({ cli, args, options }: Call): Promise<RepositorySpec> {
  const { RepositorySpec } = await import('../core/plan.js');
  const given = args[0] ?? '';
  const local = resolve(cli.cwd, given);
  const onDisk = existsSync(local);
  const marked = (['archive', 'ubackup'] as const).find((name) => existsSync(resolve(local, `holdfast-${name}.json`)));
  const engine = options.engine ?? marked ?? 'restic';
  const reference = (name: string) =>
    typeof options[name] === 'string' ? { [name]: parseReference(options[name]) } : {};
  const parsed = RepositorySpec.safeParse({
    name: 'adopted',
    engine,
    location: onDisk ? local : given,
    credentials: Object.fromEntries(((options.credential as string[] | undefined) ?? []).map(parseCredential)),
    ...reference('password'),
    ...reference('identity'),
  });
  if (!parsed.success) throw new CliError(EXIT.usage, `there is no engine "${engine}"; name restic or archive`);
  if (parsed.data.engine === 'restic' && !parsed.data.password)
    throw new CliError(EXIT.usage, 'restic opens with a password only; add --password file:PATH or env:NAME');
  return parsed.data;
}

function locations({ repositories }: Record<string, unknown>): unknown[] {
  return Object.values((repositories ?? {}) as Record<string, { location?: unknown }>).map(({ location }) => location);
}

async function textOf(config: unknown, { location }: RepositorySpec): Promise<string> {
  const { stringify } = await import('yaml');
  const head = [
    '# yaml-language-server: $schema=./holdfast.schema.json',
    `# Rebuilt by \`holdfast adopt ${location}\` from the newest snapshots there. Secrets are references: put them back.`,
  ];
  return `${head.join('\n')}\n${stringify(config, { lineWidth: 120 })}`;
}

/** Durable, and never over a file that is there: a link fails where a rename would replace. */
async function writeNew(path: string, text: string): Promise<void> {
  const { syncDirectory, writeDurable } = await import('../../activities/site/durable.js');
  const beside = `${path}.adopted`;
  await writeDurable(beside, text);
  try {
    await link(beside, path);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EEXIST' ? overwrites(path) : error;
  } finally {
    await rm(beside, { force: true });
  }
  await syncDirectory(resolve(path, '..'));
}

function overwrites(path: string): CliError {
  return new CliError(EXIT.usage, `${path} is there already and is not overwritten; move it away or work elsewhere`);
}
