import { realpathSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { findProgram } from '../../activities/tools/programs.js';
import type { Finding, Path } from './findings.js';
import { checkOverlaps } from './overlaps.js';
import { entries, type PartlyConfig } from './partly.js';
import { visit } from './visit.js';

export interface Machine {
  /**
   * `all`: everything. `trust`: only who could change this file and the programs it names; whether things are there is
   * left to the steps that need them, so that one site's missing disk stops no other site, nor its own restore.
   */
  look: 'all' | 'trust';
  /** Only this site's programs, secrets and directories. */
  site?: string | undefined;
  /** What this host is called; sites of other hosts are not looked at. */
  host?: string | undefined;
  /** User ids that may own what is trusted; default root and this process. */
  trusted?: number[];
  /** Where programs without a path are looked up. */
  path?: string;
}

/** What only the machine can tell: directories, secret files, and who could change what we run. */
export async function checkMachine(config: PartlyConfig, configFile: string, machine: Machine): Promise<Finding[]> {
  const all = machine.look === 'all';
  const here = onThisHost(config, machine);
  const work: Promise<Finding[]>[] = [checkTrusted(configFile, [], 'this file', machine)];
  for (const [name, site] of entries(here.sites))
    if (all && site.root) work.push(checkRoot(site.root, ['sites', name, 'root']));
  for (const [path, key] of all ? sshKeyFiles(config) : []) work.push(checkSecretFile(key, path, machine));
  visit(here, {
    secret: (ref, path) => {
      if (all && 'file' in ref && ref.file) work.push(checkSecretFile(ref.file, [...path, 'file'], machine));
      if ('command' in ref && ref.command?.[0])
        work.push(checkProgram(ref.command as string[], dirname(configFile), [...path, 'command'], machine));
    },
    command: (command, path, site) => {
      const argv = Array.isArray(command) ? command : command.argv;
      const cwd = (!Array.isArray(command) && command.cwd) || site.root || dirname(configFile);
      if (argv?.[0]) work.push(checkProgram(argv as string[], cwd, path, machine));
    },
  });
  const findings = (await Promise.all(work)).flat();
  return all ? [...findings, ...checkOverlaps(here, realPath)] : findings;
}

/** Private keys of SSH; ssh itself refuses one that others can read, but only when it is needed. */
function sshKeyFiles(config: PartlyConfig): [Path, string][] {
  const found = [
    ...entries(config.sites).map(([name, { pull }]) => [['sites', name, 'pull', 'key'], pull?.key] as const),
    ...entries(config.repositories).map(([name, { ssh }]) => [['repositories', name, 'ssh', 'key'], ssh?.key] as const),
  ];
  return found.flatMap(([path, key]): [Path, string][] => (key === undefined ? [] : [[[...path], key]]));
}

/** The config without sites of other hosts (or of all but one), and without repositories that only those use. */
function onThisHost(config: PartlyConfig, { host, site: only }: Machine): PartlyConfig {
  const isOurs = (site: { host?: string | undefined }) => site.host === undefined || site.host === host;
  const sites = entries(config.sites).filter(([name, site]) => (only === undefined ? isOurs(site) : name === only));
  const usedBy = (repository: string, list: typeof sites) =>
    list.some(([, site]) =>
      site.repositories?.some((use) => (typeof use === 'string' ? use : use?.use) === repository),
    );
  const repositories = entries(config.repositories).filter(
    ([name]) => usedBy(name, sites) || !usedBy(name, entries(config.sites)),
  );
  return { ...config, sites: Object.fromEntries(sites), repositories: Object.fromEntries(repositories) };
}

async function checkRoot(root: string, path: Path): Promise<Finding[]> {
  const found = await stat(root).catch(() => undefined);
  if (!found) return [{ path, message: `there is no directory ${root}; create or mount it, or correct the path` }];
  return found.isDirectory() ? [] : [{ path, message: `${root} is no directory` }];
}

async function checkSecretFile(file: string, path: Path, machine: Machine): Promise<Finding[]> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    if (found.code === 'ENOENT')
      return [{ path, message: `there is no secret file ${file}; create it with mode 0600` }];
    return [{ path, message: `the secret file ${file} cannot be looked at (${found.code})` }];
  }
  if (!found.isFile()) return [{ path, message: `${file} is no file` }];
  if (found.mode & 0o077)
    return [{ path, message: `the secret file ${file} can be read by others; chmod 600 ${file}` }];
  if (!isTrusted(found, machine))
    return [
      {
        path,
        message: `the secret file ${file} belongs to user ${found.uid}; give it to root or to the user of the worker`,
      },
    ];
  return [];
}

/** Programs whose first argument is what really runs. */
const INTERPRETERS = /^(?:(?:ba|da|z|k)?sh|python[\d.]*|perl|node|ruby|php)$/;

async function checkProgram(argv: string[], cwd: string, path: Path, machine: Machine): Promise<Finding[]> {
  const program = findProgram(argv[0] ?? '', machine.path, cwd);
  if (!program && machine.look === 'trust') return [];
  if (!program)
    return [{ path, message: `there is no program ${argv[0]} that can be run; install it or correct the path` }];
  const findings = await checkTrusted(program, path, `the program ${program}`, machine);
  const script = argv[1];
  if (!INTERPRETERS.test(basename(program)) || script === undefined || script.startsWith('-')) return findings;
  const scriptPath = isAbsolute(script) ? script : join(cwd, script);
  return [...findings, ...(await checkTrusted(scriptPath, path, `the script ${scriptPath}`, machine))];
}

/** Whoever can change it, or replace it in its directory, could have the worker do anything. */
async function checkTrusted(file: string, path: Path, what: string, machine: Machine): Promise<Finding[]> {
  const real = realPath(file);
  const found = await stat(real).catch(() => undefined);
  if (!found) return machine.look === 'trust' ? [] : [{ path, message: `${what} is not there` }];
  if (!isTrusted(found, machine))
    return [{ path, message: `${what} belongs to user ${found.uid}; give it to root or to the user of the worker` }];
  if (found.mode & 0o022) return [{ path, message: `${what} can be changed by others; chmod go-w ${real}` }];
  const dir = dirname(real);
  const around = await stat(dir);
  // In a sticky directory nobody can replace another one's file.
  if (around.mode & 0o022 && !(around.mode & 0o1000))
    return [{ path, message: `${what} can be replaced by others; chmod go-w ${dir}` }];
  return [];
}

function isTrusted(found: Stats, machine: Machine): boolean {
  return (machine.trusted ?? [0, process.getuid?.() ?? 0]).includes(found.uid);
}

/** A path with its links followed as far as it exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const up = dirname(path);
    return up === path ? path : join(realPath(up), basename(path));
  }
}
