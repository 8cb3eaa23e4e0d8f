import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, type WorkflowBundleWithSourceMap } from '@temporalio/worker';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The workflows' entry: TypeScript in a checkout, JavaScript in a build. */
const workflowsPath = here(`../workflows/index${extname(import.meta.url)}`);

/** Written by the build, so that a worker starts without a bundler run. */
export const prebuiltBundle = here('../workflow-bundle.js');

export function bundle(): Promise<WorkflowBundleWithSourceMap> {
  return bundleWorkflowCode({ workflowsPath });
}

/** What a worker runs: the build's bundle; in a checkout one that is kept as long as its sources stay the same. */
export async function workflowBundle(): Promise<{ codePath: string }> {
  if (existsSync(prebuiltBundle)) return { codePath: prebuiltBundle };
  const cache = here('../node_modules/.cache/holdfast');
  const codePath = join(cache, `workflows-${sourcesHash()}.js`);
  if (!existsSync(codePath)) {
    const { code } = await bundle();
    mkdirSync(cache, { recursive: true });
    writeFileSync(`${codePath}.${process.pid}`, code);
    renameSync(`${codePath}.${process.pid}`, codePath);
  }
  return { codePath };
}

/** All that goes into the bundle: our pure code, and the packages by their versions. */
function sourcesHash(): string {
  const hash = createHash('sha256');
  const { version } = createRequire(import.meta.url)('@temporalio/worker/package.json') as { version: string };
  hash.update(version).update(readFileSync(here('../package.json')));
  for (const dir of ['../workflows', '../src/core']) {
    for (const file of readdirSync(here(dir)).sort()) hash.update(file).update(readFileSync(join(here(dir), file)));
  }
  return hash.digest('hex').slice(0, 16);
}
