import type { Stats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** A process that removes or replaces objects of a Seafile installation. */
export interface Collecting {
  pid: number;
  program: string;
}

/** Garbage collection always removes; fsck does only where it repairs. */
const COLLECTORS = ['seafserv-gc', 'seaf-gc.sh'];
const REPAIRERS = ['seaf-fsck', 'seaf-fsck.sh'];
const REPAIRS = ['-r', '--repair'];
/** Only looks: nothing is removed. */
const HARMLESS = ['-D', '--dry-run', '-C', '--check'];

/**
 * Processes that collect garbage in this seafile-data, or repair it; in a container too, where this process sees it. One
 * that does not tell where it works counts: to wait for another site's does no harm.
 */
export async function collecting(data: string): Promise<Collecting[]> {
  const ours = await stat(data).catch(() => undefined);
  const found: Collecting[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const argv = (await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')).split('\0').filter(Boolean);
    const at = argv.slice(0, 3).findIndex((word) => [...COLLECTORS, ...REPAIRERS].includes(basename(word)));
    const program = basename(argv[at] ?? '');
    const words = argv.slice(at + 1);
    const works = COLLECTORS.includes(program)
      ? !words.some((word) => HARMLESS.includes(word))
      : words.some((word) => REPAIRS.includes(word));
    if (at < 0 || !works) continue;
    const place = await placeOf(name, argv[at] as string, words);
    if (place === undefined || !ours || same(place, ours)) found.push({ pid: Number(name), program });
  }
  return found;
}

const same = (a: Stats, b: Stats) => a.dev === b.dev && a.ino === b.ino;

/** The seafile-data that a process was told, or the one above its script; as it sees it, which a container does its own way. */
async function placeOf(pid: string, program: string, words: string[]): Promise<Stats | undefined> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => '/');
  const told = words[words.findIndex((word) => word === '-d' || word === '--seafdir') + 1];
  const named = words.some((word) => word === '-d' || word === '--seafdir') ? told : undefined;
  const path = named ?? (program.endsWith('.sh') ? join(dirname(resolve(cwd, program)), '../seafile-data') : undefined);
  if (path === undefined) return undefined;
  return stat(join(`/proc/${pid}/root`, resolve(cwd, path))).catch(() => undefined);
}
