import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLab, type Lab } from '../../test/support/lab.js';
import { runPlain } from '../../test/support/lab-runs.js';
import { eventually } from '../../test/support/toy.js';
import { outageOf, type Row, run, times } from './measure.js';

/** The application of the bench takes as long to start as a small one does. */
const START_MS = 1_000;
const VIDEOS = 10;

/** A lab with that much media, whose worker runs, whose site is up, and which has one backup. */
export async function openBench(built: string, mb: number): Promise<Lab> {
  const lab = await createLab({
    ...{ built, mb, ownServer: true, startMs: START_MS, videos: VIDEOS, engines: ['restic'], dearRestic: true },
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
  await lab.site.stop();
  await run('cp', ['-a', lab.site.root, target]);
  await lab.site.start();
  await lab.site.healthy();
}

/** Outages of backups, and what of each passed between its steps, in ms. */
async function outages(lab: Lab, count: number): Promise<{ down: number[]; hops: number[] }> {
  const hops: number[] = [];
  const down = await times(count, () => outageOf(lab.site.up, async () => void hops.push(await backup(lab))));
  return { down, hops };
}

/** The same lab, its server as Temporal ships it. */
async function untune({ server, client }: Lab): Promise<void> {
  await server?.kill();
  await server?.start(true);
  await eventually('the server answers again', 60_000, () =>
    client.workflowService.getSystemInfo({}).then(
      () => true,
      () => false,
    ),
  );
}

/** How long the site does not answer, as its visitors see it. With `untuned` also on a server that is not tuned, and stays so. */
export async function downtime(lab: Lab, mb: number, count: number, untuned: boolean): Promise<Row[]> {
  const label = `${mb.toLocaleString('en')} MB of media`;
  const { up } = lab.site;
  const tuned = await outages(lab, count);
  const floor = await times(count, () => outageOf(up, () => byHand(lab)));
  const script = await times(Math.min(count, 3), () => outageOf(up, () => naive(lab)));
  await rm(join(lab.dir, 'naive'), { recursive: true });
  const hand = { name: 'by hand', values: floor };
  const all = { name: 'stop, copy all, start', values: script };
  const row = (what: string, ours: number[], theirs?: Row['theirs'], target?: number): Row => ({
    ...{ what: `${what}, ${label}`, unit: 'ms', ours },
    ...(theirs ? { theirs } : {}),
    ...(target === undefined ? {} : { target }),
  });
  const rows = [
    row('downtime', tuned.down, hand, 1.3),
    row('downtime', tuned.down, all),
    row('  of it between steps', tuned.hops),
  ];
  if (!untuned) return rows;
  await untune(lab);
  await backup(lab); // The first one after that waits for the worker's connection.
  const slow = await outages(lab, count);
  return [
    ...rows,
    row('downtime, server not tuned', slow.down, hand),
    row('downtime, server not tuned', slow.down, all),
    row('  of it between steps, server not tuned', slow.hops),
  ];
}

/** Downtime must not grow with media. */
export function flat(rows: readonly Row[], from: number, to: number): Row[] {
  const of = (mb: number) => rows.find(({ what }) => what === `downtime, ${mb.toLocaleString('en')} MB of media`)?.ours;
  const [small, large] = [of(from), of(to)];
  if (!small || !large || from === to) return [];
  const [what, name] = [to, from].map((mb) => `${mb.toLocaleString('en')} MB`);
  return [
    {
      ...{ what: `downtime, ${what} against ${name}`, unit: 'ms', ours: large, target: 1.2 },
      theirs: { name: `${name}`, values: small },
    },
  ];
}
