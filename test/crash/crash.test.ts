import { type Blow, casesOf } from './cases.js';
import { matrix } from './matrix.js';

/*
 * Killed at any step: the application comes back, what is called verified restores, and nothing is left behind.
 * HOLDFAST_CRASH_CASES and HOLDFAST_CRASH_SEED ask for more cases and for others, here and in control.test.ts.
 */

const DEATHS: Blow[] = ['worker', 'both', 'reboot'];
const { cases, seed } = casesOf(process.env);
await matrix(
  `deaths, seed ${seed}`,
  cases.filter(({ blow }) => DEATHS.includes(blow)),
);
