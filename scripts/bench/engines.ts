import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../test/support/lab.js';
import { runPlain } from '../../test/support/lab-runs.js';
import { backup, byHand } from './downtime.js';
import { type Row, run, times, took } from './measure.js';

/** Runs of a whole job against the same engine by hand, and against borgmatic with borg, on the same tree. */
export async function engines(lab: Lab, count: number, say: (line: string) => void): Promise<Row[]> {
  const nothingNew = await times(count, () => took(() => backup(lab)));
  const jobs = await times(count, () => took(() => resticJobs(lab, join(lab.dir, 'by-hand.restic'))));
  const full = await times(count, async () => {
    await rm(lab.repositories.nas ?? '', { recursive: true });
    await restic(lab, lab.repositories.nas ?? '', 'init');
    return took(() => backup(lab));
  });
  const fullByHand = await times(count, async () => {
    const repository = join(lab.dir, 'full.restic');
    await rm(repository, { recursive: true, force: true });
    return took(() => resticJobs(lab, repository));
  });
  const rows: Row[] = [
    row('full run', full, 'restic by hand', fullByHand, 1.05),
    row('nothing-new run', nothingNew, 'restic by hand', jobs),
  ];
  const borgmatic = await installBorgmatic(lab).catch((error: Error) => error.message);
  if (typeof borgmatic === 'string') {
    say(`borgmatic cannot be had here, so nothing is compared with it: ${borgmatic.split('\n')[0]}`);
    return rows;
  }
  const job = async () => {
    await byHand(lab);
    await borgmatic();
  };
  await job();
  return [...rows, row('nothing-new run', nothingNew, 'borgmatic', await times(count, () => took(job)), 1)];
}

const row = (what: string, ours: number[], name: string, values: number[], target?: number): Row => ({
  what,
  unit: 's',
  ours: ours.map((ms) => ms / 1000),
  theirs: { name, values: values.map((ms) => ms / 1000) },
  ...(target === undefined ? {} : { target }),
});

function restic(lab: Lab, repository: string, ...args: string[]) {
  return run('restic', ['--repo', repository, '--password-file', lab.passwordFile, ...args], { maxBuffer: 64e6 });
}

/** The jobs of a backup: stop, copy the database, start; create, check with a twelfth of the data, forget. */
async function resticJobs(lab: Lab, repository: string): Promise<void> {
  await byHand(lab);
  if (!existsSync(join(repository, 'config'))) await restic(lab, repository, 'init');
  await restic(lab, repository, 'backup', '--quiet', lab.site.root);
  await restic(lab, repository, 'check', '--quiet', '--read-data-subset', '1/12');
  await restic(lab, repository, 'forget', '--quiet', '--keep-last', '5');
}

/** borgmatic of PyPI with the machine's borg; what runs its create, prune and check. */
async function installBorgmatic(lab: Lab): Promise<() => Promise<unknown>> {
  await run('borg', ['--version']);
  const lib = join(lab.dir, 'borgmatic');
  await run('python3', ['-m', 'pip', 'install', '--quiet', '--target', lib, 'borgmatic']);
  const repository = join(lab.dir, 'borg');
  const config = join(lab.dir, 'borgmatic.yaml');
  await mkdir(join(lab.dir, 'borg-home'));
  const lines = {
    source_directories: [lab.site.root],
    repositories: [{ path: repository }],
    encryption_passphrase: 'of the bench alone',
    keep_daily: 5,
    checks: [{ name: 'repository' }, { name: 'archives' }],
  };
  await writeFile(config, JSON.stringify(lines), { mode: 0o600 });
  const env = { PATH: process.env.PATH, HOME: join(lab.dir, 'borg-home'), PYTHONPATH: lib };
  const call = (...args: string[]) =>
    run('python3', ['-m', 'borgmatic.commands.borgmatic', '--config', config, ...args], { env });
  await call('repo-create', '--encryption', 'repokey-blake2');
  return () => call('create', 'prune', 'check', '--force');
}

/** A restore into a directory, and a restore test, against the engine's own restore of the same snapshot. */
export async function restores(lab: Lab, count: number): Promise<Row[]> {
  let n = 0;
  const into = () => runPlain(lab, 'restore', { site: 'cms', target: `bench-${++n}` });
  const ours = await times(count, () => took(into));
  await rm(lab.restored, { recursive: true });
  await mkdir(lab.restored);
  const proofs = await times(count, () => took(() => runPlain(lab, 'restoreTest', { site: 'cms' })));
  const bare = await times(count, async () => {
    const target = join(lab.dir, 'bare-restore');
    await rm(target, { recursive: true, force: true });
    return took(() => restic(lab, lab.repositories.nas ?? '', 'restore', 'latest', '--quiet', '--target', target));
  });
  return [row('restore', ours, 'restic restore', bare), row('restore test', proofs, 'restic restore', bare)];
}
