import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLab, type Lab } from '../../test/support/lab.js';
import { startPlain } from '../../test/support/lab-runs.js';
import type { Row } from './measure.js';

interface History {
  events: number;
  kb: number;
  /** Largest memory of the worker while it ran. */
  workerMb: number;
}

/** A generic site of so many small files, backed up once to so many archives. */
async function once(built: string, files: number, repositories: number): Promise<History> {
  const lab = await createLab({
    built,
    videos: 1,
    mb: 1,
    engines: ['archive'],
    configure: (config, { dir }) => {
      const names = Array.from({ length: repositories }, (_, n) => `r${n + 1}`);
      for (const name of names) config.repositories[name] = { engine: 'archive', location: join(dir, name) };
      config.sites = {
        many: {
          app: 'generic',
          root: join(dir, 'many'),
          service: 'none',
          repositories: names,
          limits: { reserve: '10MB' },
          options: { files: [{ name: 'files', change: 'immutable' }] },
        },
      };
    },
  });
  if (typeof lab === 'string') throw new Error(lab);
  try {
    await fill(join(lab.dir, 'many'), files);
    await lab.startWorker();
    return await measure(lab);
  } finally {
    await lab.end();
  }
}

async function fill(dir: string, files: number): Promise<void> {
  const perDirectory = 1_000;
  for (let n = 0; n < files; n++) {
    const folder = join(dir, String(Math.floor(n / perDirectory)));
    if (n % perDirectory === 0) await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${n}.txt`), `${n}\n`);
  }
}

async function measure(lab: Lab): Promise<History> {
  const pid = lab.worker()?.pid ?? 0;
  const handle = await startPlain(lab, 'backup', { site: 'many' });
  let workerMb = 0;
  const watch = setInterval(() => {
    const kb = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);
    workerMb = Math.max(workerMb, Math.round(kb / 1024));
  }, 200);
  await handle.result().finally(() => clearInterval(watch));
  const { raw } = await handle.describe();
  const { historyLength, historySizeBytes } = raw.workflowExecutionInfo ?? {};
  return { events: Number(historyLength), kb: Number(historySizeBytes) / 1024, workerMb };
}

/** Events and bytes of a run's history, which must not grow with files, and the worker's memory, which must stay flat. */
export async function histories(built: string, counts: readonly number[], many: number): Promise<Row[]> {
  const rows: Row[] = [];
  const small = await once(built, counts[0] ?? 10, 1);
  for (const files of counts.slice(1)) {
    const { events, kb } = await once(built, files, 1);
    const what = `${files.toLocaleString('en')} files`;
    const name = `${counts[0]} files`;
    rows.push(
      { what: `events, ${what}`, unit: 'events', ours: [events], theirs: { name, values: [small.events] }, target: 1 },
      { what: `history, ${what}`, unit: 'KB', ours: [kb], theirs: { name, values: [small.kb] }, target: 1.05 },
    );
  }
  for (const repositories of [1, 2, 5]) {
    const { events, kb } = repositories === 1 ? small : await once(built, 10, repositories);
    const what = `${repositories} ${repositories === 1 ? 'repository' : 'repositories'}`;
    rows.push(
      { what: `events, ${what}`, unit: 'events', ours: [events], target: 60 + 20 * (repositories - 1) },
      { what: `history, ${what}`, unit: 'KB', ours: [kb], target: 100 },
    );
  }
  const [thousand, most] = [await once(built, 1_000, 1), await once(built, many, 1)];
  return [
    ...rows,
    {
      what: `worker memory, ${many.toLocaleString('en')} files`,
      unit: 'MB',
      ours: [most.workerMb],
      theirs: { name: '1,000 files', values: [thousand.workerMb] },
      target: 1.3,
    },
  ];
}
