/** Every workflow of Holdfast; `holdfast/workflows` for those who bundle themselves. */
export { backup } from './backup.js';
export { check } from './check.js';
export { fleet } from './fleet.js';
export { guardedChange } from './guarded-change.js';
export { prune } from './prune.js';
export { repair } from './repair.js';
export { restore } from './restore.js';
export { restoreTest } from './restore-test.js';
export { verify } from './verify.js';
export { watch } from './watch.js';
