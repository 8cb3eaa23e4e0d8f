import type { Case } from './cases.js';
import { matrix } from './matrix.js';

/** A worker that hangs past the deadline of 60 s and comes back: the watchdog was first, and what it does late is refused. */
const cases: Case[] = [
  { workflow: 'backup', moment: 'dump', blow: 'freeze', repository: 'local', offset: 0 },
  { workflow: 'restore', moment: 'swap', blow: 'freeze', repository: 'local', offset: 0 },
];
await matrix('frozen past the deadline', cases);
