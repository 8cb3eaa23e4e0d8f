import { type Blow, type Case, LONG, OWN_SERVER, randomCase, randomOf, STEPS, type Step } from './cases.js';

/** The suite plays the same cases each time, so that a change is what makes a difference; other seeds are for looking further. */
const USUAL_SEED = 20261121;
/** How many `npm test` plays beside those of freeze.test.ts. */
const USUAL_CASES = 100;

/** Which steps each blow falls into, where it differs from the other steps. */
const TABLE: Record<Case['workflow'], Partial<Record<Blow, readonly Step[]>>> = {
  backup: {
    worker: STEPS,
    both: ['stop', 'checkpoint', 'dump', 'start', 'store'],
    tool: ['checkpoint', 'dump', 'store', 'verify'],
    reboot: ['checkpoint', 'dump', 'store'],
    cancel: ['stop', 'dump', 'store'],
    terminate: ['stop', 'dump', 'start', 'store'],
    reset: ['stop', 'dump', 'start', 'store'],
    lateStop: ['stop', 'checkpoint', 'dump'],
    second: ['stop', 'dump', 'store'],
    forgotten: ['stop', 'dump', 'store'],
    starter: ['stop', 'checkpoint', 'dump'],
    namesake: ['dump'],
    broken: ['dump'],
  },
  restore: {
    worker: ['fetch', 'swap', 'start', 'finish'],
    both: ['stop', 'swap'],
    tool: ['fetch'],
    reboot: ['swap'],
    cancel: ['swap'],
    terminate: ['swap'],
    reset: ['fetch', 'swap'],
    lateStop: ['stop', 'swap'],
    second: ['swap'],
    forgotten: ['fetch', 'swap'],
    starter: ['swap'],
  },
  restoreTest: {
    worker: ['fetch', 'prove'],
    tool: ['fetch'],
    reboot: ['prove'],
    cancel: ['fetch'],
    terminate: ['prove'],
    reset: ['fetch', 'prove'],
    forgotten: ['prove'],
  },
};

/** Blows that fall into the suite's random moments. */
const QUICK = (Object.keys({ ...TABLE.backup }) as Blow[]).filter(
  (blow) => !OWN_SERVER.includes(blow) && !LONG.includes(blow),
);

/**
 * Every blow in each step where it differs from the others, and random ones. HOLDFAST_CRASH_CASES asks for so many in all,
 * HOLDFAST_CRASH_SEED for others.
 */
export function suiteOf(env: NodeJS.ProcessEnv): { cases: Case[]; seed: number } {
  const seed = Number(env.HOLDFAST_CRASH_SEED ?? USUAL_SEED);
  const count = Number(env.HOLDFAST_CRASH_CASES ?? USUAL_CASES);
  const random = randomOf(seed);
  const cases: Case[] = [];
  for (const [workflow, blows] of Object.entries(TABLE))
    for (const [blow, steps] of Object.entries(blows))
      for (const moment of steps)
        cases.push({
          workflow: workflow as Case['workflow'],
          moment,
          blow: blow as Blow,
          repository: random() < 0.5 ? 'nas' : 'local',
          offset: random(),
        });
  while (cases.length < count) cases.push({ ...randomCase(seed, cases.length, QUICK), moment: 'random' });
  return { cases, seed };
}
