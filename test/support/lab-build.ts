import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { workflowBundle } from '../../worker/bundle.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Compiles the checkout into a directory of its own, workflows bundled: a worker starts there in a second instead of
 * eight, which counts where dozens are killed. Types are not looked at: `npm test` does that once for all, as it makes one
 * copy for all files, at HOLDFAST_TEST_BUILD.
 */
export async function buildLab(): Promise<{ dir: string; remove: () => Promise<void> }> {
  const { HOLDFAST_TEST_BUILD: made } = process.env;
  if (made) return { dir: made, remove: async () => {} };
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-build-'));
  const args = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', dir, '--noCheck'];
  await new Promise<void>((resolve) => execFile(join(ROOT, 'node_modules/.bin/tsc'), args, () => resolve()));
  if (!existsSync(join(dir, 'src/cli/main.js'))) throw new Error('the checkout does not compile');
  await copyFile(join(ROOT, 'package.json'), join(dir, 'package.json'));
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'));
  await copyFile((await workflowBundle()).codePath, join(dir, 'workflow-bundle.js'));
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}
