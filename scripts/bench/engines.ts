import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lab } from '../../test/support/lab.js';
import { runPlain } from '../../test/support/lab-runs.js';
import { installBorgmatic } from './borgmatic.js';
import { backup, byHand } from './downtime.js';
import { type Row, run, times, took } from './measure.js';

/** Runs with nothing new against the same jobs by hand, and against borgmatic with borg, on the same tree. */
export async function engines(lab: Lab, mb: number, count: number, say: (line: string) => void): Promise<Row[]> {
  const nothingNew = await times(count, () => took(() => backup(lab)));
  const hand = join(lab.dir, 'by-hand.restic');
  await restic(lab, hand, 'init');
  await resticJobs(lab, hand);
  const jobs = await times(count, () => took(() => resticJobs(lab, hand)));
  const rows = [row('nothing-new run', mb, nothingNew, 'restic by hand', jobs)];
  const { full, theirs } = await fullRuns(lab, Math.min(count, 3));
  rows.push(row('full run', mb, full, 'restic by hand', theirs, 1.05));
  const borgmatic = await installBorgmatic(lab).catch((error: Error) => error.message);
  if (typeof borgmatic === 'string') {
    say(`borgmatic with borg cannot be had here: ${borgmatic.split('\n')[0]}; nothing is compared with it`);
    return rows;
  }
  const job = async () => {
    await byHand(lab);
    await borgmatic.jobs();
  };
  const borgFull = await times(Math.min(count, 3), async () => {
    await borgmatic.renew();
    return took(job);
  });
  const borgJobs = await times(count, () => took(job));
  return [
    ...rows,
    row('full run', mb, full, 'borgmatic', borgFull),
    row('nothing-new run', mb, nothingNew, 'borgmatic', borgJobs, 1),
  ];
}

/** Whole runs into an empty repository, and the same jobs by hand. */
export async function fulls(lab: Lab, mb: number, count: number): Promise<Row[]> {
  const { full, theirs } = await fullRuns(lab, count);
  return [row('full run', mb, full, 'restic by hand', theirs, 1.05)];
}

async function fullRuns(lab: Lab, count: number): Promise<{ full: number[]; theirs: number[] }> {
  const renewed = async (repository: string, job: () => Promise<unknown>) => {
    await rm(repository, { recursive: true, force: true });
    await restic(lab, repository, 'init');
    return took(job);
  };
  const hand = join(lab.dir, 'full.restic');
  // What is remembered of the repository that was there before costs a call that finds nothing.
  const forget = () => rm(join(lab.state, 'work/cache/nas'), { recursive: true, force: true });
  const full: number[] = [];
  const theirs: number[] = [];
  // In turns, so that a disk that tires does so for both.
  for (let n = 0; n < count; n++) {
    await forget();
    full.push(await renewed(lab.repositories.nas ?? '', () => backup(lab)));
    theirs.push(await renewed(hand, () => resticJobs(lab, hand)));
  }
  await rm(hand, { recursive: true });
  return { full, theirs };
}

function row(what: string, mb: number, ours: number[], name: string, values: number[], target?: number): Row {
  const seconds = (all: number[]) => all.map((ms) => ms / 1000);
  return {
    ...{ what: `${what}, ${mb.toLocaleString('en')} MB`, unit: 's', ours: seconds(ours) },
    theirs: { name, values: seconds(values) },
    ...(target === undefined ? {} : { target }),
  };
}

function restic(lab: Lab, repository: string, ...args: string[]) {
  return run('restic', ['--repo', repository, '--password-file', lab.passwordFile, ...args], { maxBuffer: 64e6 });
}

/** The jobs of a backup: stop, copy the database, start; create, check with a twelfth of the data, forget. */
async function resticJobs(lab: Lab, repository: string): Promise<void> {
  await byHand(lab);
  await restic(lab, repository, 'backup', '--quiet', lab.site.root);
  await restic(lab, repository, 'check', '--quiet', '--read-data-subset', '1/12');
  await restic(lab, repository, 'forget', '--quiet', '--keep-last', '5');
}

/** A restore into a directory, and a restore test, against the engine's own restore of the same snapshot. */
export async function restores(lab: Lab, mb: number, count: number): Promise<Row[]> {
  let n = 0;
  const into = () => runPlain(lab, 'restore', { site: 'cms', target: `bench-${++n}` });
  const ours = await times(count, async () => {
    await rm(lab.restored, { recursive: true });
    await mkdir(lab.restored);
    return took(into);
  });
  await rm(lab.restored, { recursive: true });
  await mkdir(lab.restored);
  const proofs = await times(count, () => took(() => runPlain(lab, 'restoreTest', { site: 'cms' })));
  const bare = await times(count, async () => {
    const target = join(lab.dir, 'bare-restore');
    await rm(target, { recursive: true, force: true });
    return took(() => restic(lab, lab.repositories.nas ?? '', 'restore', 'latest', '--quiet', '--target', target));
  });
  return [row('restore', mb, ours, 'restic restore', bare), row('restore test', mb, proofs, 'restic restore', bare)];
}
