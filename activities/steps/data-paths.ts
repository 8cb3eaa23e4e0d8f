import { dirname } from 'node:path';
import type { Plan } from '../../src/core/plan.js';

/** Where the application's data lies: nothing may have a file below these open for writing while it is stopped. */
export function dataPaths(plan: Plan): string[] {
  const sets = plan.fileSets.filter((set) => set.include.length === 0).map((set) => set.root);
  return [...new Set([...plan.databases.flatMap(({ path }) => [path, dirname(path)]), ...sets])];
}
