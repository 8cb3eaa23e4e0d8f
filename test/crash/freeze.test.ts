import type { Blow, Case, Step } from './cases.js';
import { matrix } from './matrix.js';

/**
 * A worker that hangs past the deadline of 60 s and comes back: the watchdog was first, and what it does late is refused. A Temporal
 * server that dies, and one that is away for twice the deadline.
 */
const make = (workflow: Case['workflow'], moment: Step, blow: Blow): Case => ({
  workflow,
  moment,
  blow,
  repository: 'local',
  offset: 0,
});
const cases = [
  make('backup', 'dump', 'away'),
  make('restore', 'swap', 'away'),
  make('backup', 'dump', 'freeze'),
  make('restore', 'swap', 'freeze'),
  make('restoreTest', 'prove', 'freeze'),
  make('backup', 'store', 'server'),
  make('restoreTest', 'prove', 'server'),
];
await matrix('frozen past the deadline, and without Temporal', cases, { ownServer: true, labs: cases.length });
