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
 * `starter`: somebody else starts the application while it is stopped. `lateStop`: the worker dies, and the stop that it asked for
 * takes effect only after the watchdog has started the application. `broken`: the application does not start any more, until the next
 * run of the site has begun. `second`: the host has two workers, and one dies. `namesake`: a worker of another machine
 * with the same name comes. `forgotten`: the server loses the run, as after its retention.
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
  | 'starter'
  | 'lateStop'
  | 'broken'
  | 'second'
  | 'namesake'
  | 'forgotten';

/** Steps of each workflow in which a blow can land. */
const STEPS_OF: Record<Case['workflow'], readonly Step[]> = {
  backup: STEPS,
  restore: ['fetch', 'stop', 'swap', 'start', 'finish'],
  restoreTest: ['fetch', 'prove', 'finish'],
};
/** Those that run a tool for long enough to be killed in it. */
const TOOLS: readonly Step[] = ['checkpoint', 'dump', 'store', 'verify', 'fetch', 'swap', 'prove'];
const DOWN: readonly Step[] = ['stop', 'checkpoint', 'dump', 'swap', 'start'];
/** Blows that need a step of a kind; all others may fall into any. */
const FITS: Partial<Record<Blow, readonly Step[]>> = { tool: TOOLS, starter: DOWN, lateStop: DOWN, broken: DOWN };
/** Needs no other workflow than a backup: a restore would wait for minutes before it takes its state back. */
const BACKUP_ONLY: readonly Blow[] = ['broken'];

const fits = (workflow: Case['workflow'], blow: Blow): readonly Step[] =>
  BACKUP_ONLY.includes(blow) && workflow !== 'backup'
    ? []
    : STEPS_OF[workflow].filter((step) => FITS[blow]?.includes(step) ?? true);

/** As often as they are useful: a freeze, an absence and a broken start each wait for long. */
const WEIGHTS: Record<Blow, number> = {
  worker: 20,
  both: 12,
  tool: 12,
  reboot: 10,
  cancel: 10,
  terminate: 10,
  reset: 10,
  server: 10,
  lateStop: 6,
  second: 6,
  forgotten: 6,
  starter: 4,
  namesake: 2,
  broken: 1,
  freeze: 1,
  away: 1,
};
const ALL = Object.keys(WEIGHTS) as Blow[];
/** They need a Temporal server that is the lab's own, or wait for minutes. */
export const OWN_SERVER: readonly Blow[] = ['server', 'away'];
export const LONG: readonly Blow[] = ['freeze', 'away', 'broken'];

/** Case `index` of a seed: whatever else is played, it is the same one. */
export function randomCase(seed: number, index: number, blows: readonly Blow[] = ALL): Case {
  const random = randomOf(seed * 1_000_003 + index);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const blow = pick(blows.flatMap((name) => Array<Blow>(WEIGHTS[name]).fill(name)));
  const suitable = (['backup', 'backup', 'backup', 'restore', 'restoreTest'] as const).filter(
    (workflow) => fits(workflow, blow).length > 0,
  );
  const workflow = pick(suitable);
  const moment = random() < 0.4 ? 'random' : pick(fits(workflow, blow));
  return { workflow, moment, blow, repository: pick(['nas', 'local'] as const), offset: random() };
}

export function nameOf({ workflow, moment, blow, repository }: Case): string {
  return `${workflow}, ${moment}: ${blow} (${repository})`;
}

/** mulberry32: the same seed gives the same cases everywhere. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
