import type { Blow } from './cases.js';
import { matrix } from './matrix.js';
import { suiteOf } from './suite.js';

/** A tool that is killed, what a person does to a run or to the application from outside, and a server that forgets. */
const DEATHS: Blow[] = ['worker', 'both', 'reboot', 'lateStop', 'second'];
const { cases, seed } = suiteOf(process.env);
await matrix(
  `tools and people, seed ${seed}`,
  cases.filter(({ blow }) => !DEATHS.includes(blow)),
);
