import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fromRoots } from '../../src/core/proof-text.js';
import type { Check } from '../../src/core/report.js';
import type { Checked, CheckInput } from '../api.js';
import { ABOUT, inSite, siteIn } from '../capture/arrange.js';
import { exists } from '../capture/copy.js';
import { MANIFEST } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { checks as appChecks } from '../checks/index.js';
import type { Restored } from '../contracts.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';
import { withKills } from '../tools/context.js';
import { runTag, scratchTree } from './fetch-place.js';
import { nextPart } from './rotation.js';

/** Runs the application's own checks on the restored tree, or starts the application on it in isolation. A bad backup is a failed check, no failed step. */
export const prove = (deps: Deps) =>
  planned<CheckInput, Checked>(deps, 'prove', async (input, { plan, holder, ctx }) => {
    const tree = scratchTree(plan, deps, runTag(holder));
    const root = siteIn(tree);
    // What a run fetched is its own: one that was reset to after that has another run id.
    if (!(await exists(join(root, ABOUT, MANIFEST))))
      return { said: 'this run was reset after its fetch', checks: [], sample: '', gone: true };
    const manifest = await readManifest(join(root, ABOUT, MANIFEST));
    const of = Number(plan.restoreTest.sample.split('/')[1] ?? 12);
    const part = input.full ? { n: 1, of: 1 } : await nextPart(deps.state, plan.site, `proof-${input.repository}`, of);
    const scratch = join(tree, 'scratch');
    await rm(scratch, { recursive: true, force: true });
    await mkdir(scratch, { mode: 0o700 });
    const restored: Restored = {
      root,
      manifest,
      plan,
      relocate: (path) => inSite(root, manifest, path),
      scratch,
      part,
    };
    const app = appChecks[plan.app];
    let killed: Error | undefined;
    const heard = withKills(ctx, (failure) => {
      killed = failure;
    });
    const found: Check[] = input.boot
      ? ((await app?.boot?.(restored, heard)) ?? [])
      : ((await app?.checks(restored, heard)) ?? []);
    const bad = found.filter((check) => !check.ok).length;
    // The end of a program tells nothing of the backup: the step is tried again.
    if (bad > 0 && killed) throw killed;
    return {
      said: bad === 0 ? `${found.length} checks passed` : `${bad} of ${found.length} checks failed`,
      // Nobody finds the scratch space again.
      checks: found.map((check) => fromRoots(check, [root, plan.root])),
      sample: `1/${part.of}`,
    };
  });
