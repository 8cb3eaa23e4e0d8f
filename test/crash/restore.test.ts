import type { Case } from './cases.js';
import { matrix } from './matrix.js';

/** A restore in place that is struck while it swaps: all of the old state or all of the new one, and never a mixture. */
const make = (moment: Case['moment'], blow: Case['blow'], offset: number): Case => ({
  workflow: 'restore',
  moment,
  blow,
  repository: offset < 0.5 ? 'nas' : 'local',
  offset,
});
const cases = [
  make('swap', 'worker', 0),
  make('swap', 'both', 0.1),
  make('swap', 'reboot', 0.6),
  make('swap', 'terminate', 0.2),
  make('swap', 'cancel', 0.7),
  make('swap', 'reset', 0.3),
  make('start', 'worker', 0.8),
  make('stop', 'both', 0.9),
];
await matrix(`${cases.length} restores in place`, cases);
