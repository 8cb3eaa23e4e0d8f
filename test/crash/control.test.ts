import { type Blow, casesOf } from './cases.js';
import { matrix } from './matrix.js';

/** A tool that is killed, and what a person does to a run from outside: cancel, terminate, reset. */
const CONTROL: Blow[] = ['tool', 'cancel', 'terminate', 'reset'];
const { cases, seed } = casesOf(process.env);
await matrix(
  `tools and people, seed ${seed}`,
  cases.filter(({ blow }) => CONTROL.includes(blow)),
);
