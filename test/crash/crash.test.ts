import type { Blow } from './cases.js';
import { matrix } from './matrix.js';
import { suiteOf } from './suite.js';

/*
 * Killed at any step: the application comes back, what is called verified restores, and nothing is left behind.
 * HOLDFAST_CRASH_CASES and HOLDFAST_CRASH_SEED ask for more cases and for others, here and in control.test.ts.
 */

const DEATHS: Blow[] = ['worker', 'both', 'reboot', 'lateStop', 'second'];
const { cases, seed } = suiteOf(process.env);
await matrix(
  `deaths, seed ${seed}`,
  cases.filter(({ blow }) => DEATHS.includes(blow)),
);
