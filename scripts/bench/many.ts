import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../../src/core/report.js';
import { createLab, type Lab } from '../../test/support/lab.js';
import { startPlain } from '../../test/support/lab-runs.js';
import { peakMb, type Row, run } from './measure.js';

/** A generic site of so many small files, and the repositories that it goes to. */
interface Many {
  files: number;
  repositories: readonly string[];
}

const SEVERAL = [1, 2, 3, 4, 5].map((n) => `archive-${n}`);
const PER_DIRECTORY = 1_000;

async function openMany(built: string, sites: Record<string, Many>): Promise<Lab> {
  const lab = await createLab({
    ...{ built, videos: 1, mb: 1, engines: ['restic'], dearRestic: true },
    configure: (config, { dir }) => {
      for (const name of SEVERAL) config.repositories[name] = { engine: 'archive', location: join(dir, name) };
      config.sites = Object.fromEntries(
        Object.entries(sites).map(([name, { repositories }]) => [
          name,
          {
            ...{ app: 'generic', root: join(dir, name), service: 'none', repositories },
            limits: { reserve: '10MB' },
            options: { files: [{ name: 'files', change: 'immutable' }] },
          },
        ]),
      );
    },
  });
  if (typeof lab === 'string') throw new Error(lab);
  for (const [name, { files }] of Object.entries(sites)) fill(join(lab.dir, name), files);
  await lab.startWorker();
  return lab;
}

function fill(dir: string, files: number): void {
  for (let n = 0; n < files; n++) {
    const folder = join(dir, String(Math.floor(n / PER_DIRECTORY)));
    if (n % PER_DIRECTORY === 0) mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `${n}.txt`), `${n}\n`);
  }
}

/** Events and KB of one backup's history. */
async function historyOf(lab: Lab, site: string): Promise<{ events: number; kb: number }> {
  const handle = await startPlain(lab, 'backup', { site });
  const { outcome, said } = (await handle.result()) as Report;
  if (outcome !== 'completed') throw new Error(`a backup of the bench did not complete: ${said}`);
  const { raw } = await handle.describe();
  const { historyLength, historySizeBytes } = raw.workflowExecutionInfo ?? {};
  return { events: Number(historyLength), kb: Number(historySizeBytes) / 1024 };
}

const count = (files: number) => `${files.toLocaleString('en')} files`;

/** Events and bytes of a run's history, which must not grow with files, and per repository. One run each: they do not vary. */
export async function histories(built: string, counts: readonly number[]): Promise<Row[]> {
  const [few = 10] = counts;
  const numbers = [1, 2, 5];
  const lab = await openMany(built, {
    ...Object.fromEntries(counts.map((files) => [`files-${files}`, { files, repositories: SEVERAL.slice(0, 1) }])),
    ...Object.fromEntries(numbers.map((n) => [`to-${n}`, { files: few, repositories: SEVERAL.slice(0, n) }])),
  });
  try {
    const rows: Row[] = [];
    const small = await historyOf(lab, `files-${few}`);
    for (const files of counts.slice(1)) {
      const { events, kb } = await historyOf(lab, `files-${files}`);
      const name = count(few);
      rows.push(
        {
          ...{ what: `events, ${count(files)}`, unit: 'events', ours: [events], target: 1 },
          theirs: { name, values: [small.events] },
        },
        {
          ...{ what: `history, ${count(files)}`, unit: 'KB', ours: [kb], target: 1.05 },
          theirs: { name, values: [small.kb] },
        },
      );
    }
    for (const n of numbers) {
      const { events, kb } = await historyOf(lab, `to-${n}`);
      const what = `${n} ${n === 1 ? 'repository' : 'repositories'}`;
      rows.push(
        { what: `events, ${what}`, unit: 'events', ours: [events], target: 60 + 20 * (n - 1) },
        { what: `history, ${what}`, unit: 'KB', ours: [kb], target: 100 },
      );
    }
    return rows;
  } finally {
    await lab.end();
  }
}

/** The largest memory of the worker while a backup of many files goes to restic and to an archive side by side: it must stay flat. */
export async function memory(built: string, most: number): Promise<Row[]> {
  const few = 1_000;
  const repositories = ['nas', ...SEVERAL.slice(0, 1)];
  const lab = await openMany(built, { few: { files: few, repositories }, most: { files: most, repositories } });
  const peak = (site: string) => peakMb(lab.worker()?.pid ?? 0, async () => void (await historyOf(lab, site)));
  try {
    await peak('few'); // What a worker loads once counts for nobody.
    const [less, more] = [await peak('few'), await peak('most')];
    return [
      {
        ...{ what: `worker memory, ${count(most)}, to restic and archive`, unit: 'MB', ours: [more], target: 1.3 },
        theirs: { name: count(few), values: [less] },
      },
    ];
  } finally {
    // Node takes three times as long for a million files.
    await run('rm', ['-rf', join(lab.dir, 'most')]);
    await lab.end();
  }
}
