import { join } from 'node:path';
import type { StepResult } from '../../src/core/report.js';
import type { CaptureInput } from '../api.js';
import { inTurn } from '../capture/in-turn.js';
import { MANIFEST, stagingOf } from '../capture/layout.js';
import { readManifest } from '../capture/seal.js';
import { checks as appChecks } from '../checks/index.js';
import type { Deps } from '../deps.js';
import { planned } from '../step.js';
import { prepareCapture } from './store.js';

/** Completes the capture for another machine that pulls it: lists, and that all that its databases refer to is there. */
export const seal = (deps: Deps) =>
  planned<CaptureInput, StepResult>(deps, 'seal', async (input, env) => {
    const { fileSets, databases } = await inTurn(input.captureId, () => prepareCapture(input, env));
    const files = fileSets.reduce((sum, set) => sum + set.files, 0);
    return { said: `${databases.length} databases and ${files} files are ready to be pulled` };
  });

/** Asks the application whether what another machine has pulled may have gone meanwhile. */
export const confirm = (deps: Deps) =>
  planned<CaptureInput, StepResult>(deps, 'confirm', async (_input, { plan, ctx }) => {
    const staging = stagingOf(deps.state, plan.site);
    const manifest = await readManifest(join(staging, MANIFEST));
    await appChecks[plan.app]?.afterStore?.({ manifest, plan, file: (path) => join(staging, path) }, ctx);
    return { said: `nothing that was pulled had gone meanwhile` };
  });
