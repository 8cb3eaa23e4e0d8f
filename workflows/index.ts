/** Every workflow of Holdfast; `holdfast/workflows` for those who bundle themselves. */
export { backup } from './backup.js';
export { check } from './check.js';
export { prune } from './prune.js';
export { restore } from './restore.js';
export { restoreTest } from './restore-test.js';
export { verify } from './verify.js';
export { watch } from './watch.js';
