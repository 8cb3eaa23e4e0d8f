import { dirname } from 'node:path';
import { type Plan, pathOf } from '../../src/core/plan.js';

/** Where the application's data lies: nothing may have a file below these open for writing while it is stopped. */
export function dataPaths(plan: Plan): string[] {
  const sets = plan.fileSets.filter((set) => set.include.length === 0 && set.change !== 'live').map((set) => set.root);
  return [
    ...new Set([
      ...plan.databases.flatMap((spec) => {
        const path = pathOf(spec);
        return path === undefined ? [] : [path, dirname(path)];
      }),
      ...sets,
    ]),
  ];
}
