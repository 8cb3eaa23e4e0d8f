import { mkdir } from 'node:fs/promises';
import type { StepResult } from '../../src/core/report.js';
import type { CaptureInput } from '../api.js';
import { copyTree, exists, warmDirectory } from '../capture/copy.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';

/** Copies the mutable trees while the application runs, so that the pass inside the section has little left to do. */
export const warm = (deps: Deps) =>
  planned<CaptureInput, StepResult>(deps, 'warm', async (_, env) => {
    const done: string[] = [];
    for (const set of env.plan.fileSets) {
      if (set.change !== 'mutable' || set.include.length > 0 || !(await exists(set.root))) continue;
      const target = warmDirectory(env, set);
      await mkdir(target, { recursive: true, mode: 0o700 });
      // Files that vanish or change under a running application are no failure here: the pass at rest takes them again.
      await copyTree(set, target, undefined, env, [0, 23, 24]);
      done.push(set.name);
    }
    return { said: `copied ${done.join(', ')} ahead` };
  });
