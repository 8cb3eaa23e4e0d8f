import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLab, type Lab } from '../../test/support/lab.js';
import { runPlain } from '../../test/support/lab-runs.js';
import { outageOf, type Row, run, times } from './measure.js';

/** The application of the bench takes as long to start as a small one does. */
const START_MS = 1_000;
const VIDEOS = 10;

/** A lab with that much media, whose worker runs and whose site is up. */
export async function openBench(built: string, mb: number, more: { untuned?: boolean } = {}): Promise<Lab> {
  const lab = await createLab({
    built,
    ownServer: true,
    startMs: START_MS,
    videos: VIDEOS,
    mb: Math.ceil(mb / VIDEOS),
    engines: ['restic'],
    ...more,
    configure: (config) => {
      config.sites.cms.keep = { last: 5 };
    },
  });
  if (typeof lab === 'string') throw new Error(lab);
  await lab.site.start();
  await lab.site.healthy();
  await lab.startWatchdog();
  await lab.startWorker();
  await backup(lab);
  return lab;
}

/** A whole backup; the time that Temporal took between the steps of its stopped section, in ms. */
export async function backup(lab: Lab): Promise<number> {
  const report = await runPlain(lab, 'backup', { site: 'cms' });
  if (report.outcome !== 'completed') throw new Error(`a backup of the bench did not complete: ${report.said}`);
  return report.hopMs ?? 0;
}

/** What a careful person does: stop, fold the log in, copy the database, start. */
export async function byHand(lab: Lab): Promise<void> {
  const { site } = lab;
  await site.stop();
  await run('sqlite3', [site.database, 'PRAGMA wal_checkpoint(TRUNCATE)']);
  await run('cp', [site.database, join(lab.dir, 'by-hand.sqlite')]);
  await site.start();
  await site.healthy();
}

/** What most scripts do: stop, back everything up, start. */
async function naive(lab: Lab): Promise<void> {
  const target = join(lab.dir, 'naive');
  await rm(target, { recursive: true, force: true });
  await mkdir(target);
  await lab.site.stop();
  await cp(lab.site.root, target, { recursive: true });
  await lab.site.start();
  await lab.site.healthy();
}

/** How long the site does not answer, as its visitors see it. */
export async function downtime(lab: Lab, label: string, count: number, withNaive: boolean): Promise<Row[]> {
  const { up } = lab.site;
  const hops: number[] = [];
  const ours = await times(count, () => outageOf(up, async () => void hops.push(await backup(lab))));
  const floor = await times(count, () => outageOf(up, () => byHand(lab)));
  const rows: Row[] = [
    { what: `downtime, ${label}`, unit: 'ms', ours, theirs: { name: 'by hand', values: floor }, target: 1.3 },
    { what: `  of it between steps, ${label}`, unit: 'ms', ours: hops },
  ];
  if (!withNaive) return rows;
  const script = await times(Math.min(count, 3), () => outageOf(up, () => naive(lab)));
  return [
    ...rows,
    { what: `downtime, ${label}`, unit: 'ms', ours, theirs: { name: 'stop, copy all, start', values: script } },
  ];
}
