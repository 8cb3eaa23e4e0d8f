/** What is done to a run, and in which step of it. */
export interface Case {
  workflow: 'backup' | 'restore' | 'restoreTest';
  /** A step, or a random moment of the run. */
  moment: Step | 'random';
  blow: Blow;
  repository: 'nas' | 'local';
  /** 0 to 1: how far into the step, or into the run. */
  offset: number;
}

export const STEPS = ['prepare', 'stop', 'checkpoint', 'dump', 'start', 'store', 'verify', 'finish'] as const;
export type Step = (typeof STEPS)[number] | 'fetch' | 'swap' | 'prove';

/**
 * `worker`: SIGKILL, then a new one. `both`: worker and watchdog, then both anew. `tool`: a program that the step runs.
 * `reboot`: all processes, the application too, then a new boot id. `freeze`: SIGSTOP past the deadline, then SIGCONT.
 * `server`: SIGKILL of Temporal's, then a new one with its data; `away`: the same, but for twice the deadline.
 * `starter`: somebody else starts the application while it is stopped.
 */
export type Blow =
  | 'worker'
  | 'both'
  | 'tool'
  | 'reboot'
  | 'cancel'
  | 'terminate'
  | 'reset'
  | 'freeze'
  | 'server'
  | 'away'
  | 'starter';

const DOWN: readonly Step[] = ['stop', 'checkpoint', 'dump', 'start'];
const TOOLS: readonly Step[] = ['checkpoint', 'dump', 'store', 'verify'];

/** The suite plays the same cases each time, so that a change is what makes a difference; other seeds are for looking further. */
const USUAL_SEED = 20261121;

/**
 * Every blow in each step where it differs from the others (HOLDFAST_CRASH_CASES: random ones besides, up to so many in
 * all). HOLDFAST_CRASH_SEED gives the same ones again.
 */
export function casesOf(env: NodeJS.ProcessEnv): { cases: Case[]; seed: number } {
  const seed = Number(env.HOLDFAST_CRASH_SEED ?? USUAL_SEED);
  const count = Number(env.HOLDFAST_CRASH_CASES ?? 0);
  const random = randomOf(seed);
  const make = (moment: Case['moment'], blow: Blow): Case => ({
    workflow: 'backup',
    moment,
    blow,
    repository: random() < 0.5 ? 'nas' : 'local',
    offset: random(),
  });
  const table: Case[] = [
    ...STEPS.map((step) => make(step, 'worker')),
    ...DOWN.map((step) => make(step, 'both')),
    ...TOOLS.map((step) => make(step, 'tool')),
    ...(['checkpoint', 'store'] as const).map((step) => make(step, 'reboot')),
    ...(['stop', 'dump', 'store'] as const).map((step) => make(step, 'cancel')),
    ...(['stop', 'dump', 'start', 'store'] as const).map((step) => make(step, 'terminate')),
    ...(['stop', 'dump', 'start', 'store'] as const).map((step) => make(step, 'reset')),
  ];
  const blows: Blow[] = ['worker', 'both', 'tool', 'reboot', 'cancel', 'terminate', 'reset'];
  while (table.length < count) table.push(make('random', blows[Math.floor(random() * blows.length)] ?? 'worker'));
  return { cases: table, seed };
}

/** Steps of each workflow in which a blow can land. */
const STEPS_OF: Record<Case['workflow'], readonly Step[]> = {
  backup: STEPS,
  restore: ['fetch', 'stop', 'swap', 'start', 'finish'],
  restoreTest: ['fetch', 'prove', 'finish'],
};
/** As often as they are useful: a freeze and an absence each wait for minutes. */
const WEIGHTS: Record<Blow, number> = {
  worker: 20,
  both: 12,
  tool: 12,
  reboot: 10,
  cancel: 10,
  terminate: 10,
  reset: 10,
  server: 10,
  starter: 4,
  freeze: 1,
  away: 1,
};

/** Case `index` of a seed: whatever else is played, it is the same one. */
export function randomCase(seed: number, index: number): Case {
  const random = randomOf(seed * 1_000_003 + index);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const workflow = pick(['backup', 'backup', 'backup', 'restore', 'restoreTest'] as const);
  const blow = pick(Object.entries(WEIGHTS).flatMap(([name, weight]) => Array<Blow>(weight).fill(name as Blow)));
  const moment = random() < 0.4 ? 'random' : pick(STEPS_OF[workflow]);
  return { workflow, moment, blow, repository: pick(['nas', 'local'] as const), offset: random() };
}

export function nameOf({ workflow, moment, blow, repository }: Case): string {
  return `${workflow}, ${moment}: ${blow} (${repository})`;
}

/** mulberry32: the same seed gives the same cases everywhere. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
