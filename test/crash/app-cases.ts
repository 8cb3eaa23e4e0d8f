import type { AppName } from '../support/app-lab.js';
import { type Blow, randomOf } from './cases.js';

/** What is done to a run of one application, and in which step of it. */
export interface AppCase {
  app: AppName;
  workflow: 'backup' | 'restore' | 'restoreTest';
  moment: string;
  blow: Blow;
  repository: number;
  /** 0 to 1: how far into the step, or into the run. */
  offset: number;
  /** The application is stopped before the run, and must be after it. */
  stopped: boolean;
  /** Only a part of it is restored. */
  part: boolean;
}

const STEPS = {
  backup: ['prepare', 'stop', 'checkpoint', 'dump', 'start', 'store', 'verify', 'finish'],
  restore: ['fetch', 'stop', 'swap', 'start', 'finish'],
  restoreTest: ['fetch', 'prove', 'finish'],
} as const;

const WEIGHTS: Partial<Record<Blow, number>> = {
  worker: 20,
  both: 12,
  tool: 14,
  reboot: 12,
  cancel: 10,
  terminate: 10,
  reset: 10,
  server: 6,
};

/** Steps that a backup of an application has not, because nothing is stopped for it. */
const NEVER_DOWN = ['stop', 'checkpoint', 'start'];
const LACKS: Partial<Record<AppName, readonly string[]>> = {
  apiscp: NEVER_DOWN,
  mediagit: NEVER_DOWN,
  varasto: NEVER_DOWN,
  generic: ['checkpoint'],
  mysql: ['checkpoint'],
};

/** Case `index` of a seed: whatever else is played, it is the same one. */
export function randomAppCase(app: AppName, seed: number, index: number): AppCase {
  const random = randomOf(
    seed * 1_000_003 + index * 7919 + [...app].reduce((sum, char) => sum * 31 + char.charCodeAt(0), 7),
  );
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const workflow = pick(['backup', 'backup', 'restore', 'restore', 'restoreTest'] as const);
  const blow = pick(Object.entries(WEIGHTS).flatMap(([name, weight]) => Array<Blow>(weight).fill(name as Blow)));
  const steps = STEPS[workflow].filter((step) => !LACKS[app]?.includes(step) || workflow !== 'backup');
  const moment = random() < 0.35 ? 'random' : pick(steps);
  return {
    ...{ app, workflow, moment, blow },
    repository: Math.floor(random() * 2),
    offset: random(),
    stopped: random() < 0.12,
    part: random() < 0.4,
  };
}

export function nameOfApp({ app, workflow, moment, blow, repository, stopped, part }: AppCase): string {
  const more = `${stopped ? ', stopped before' : ''}${part && app === 'apiscp' ? ', one account' : ''}`;
  return `${app} ${workflow}, ${moment}: ${blow} (repository ${repository}${more})`;
}
