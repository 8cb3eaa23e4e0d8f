import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The workflows' entry: TypeScript in a checkout, JavaScript in a build. */
export const workflowsPath = here(`../workflows/index${extname(import.meta.url)}`);

/** Written by the build, so that a worker starts without a bundler run. */
export const prebuiltBundle = here('../workflow-bundle.js');

export function bundle(): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath });
}

/** What a worker runs: the build's bundle where there is one. */
export async function workflowBundle(): Promise<{ codePath: string } | { code: string }> {
  return existsSync(prebuiltBundle) ? { codePath: prebuiltBundle } : { code: (await bundle()).code };
}
