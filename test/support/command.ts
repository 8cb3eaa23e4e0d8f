import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Arguments of `node` for the command: the compiled copy at `built`, the one that `npm test` made for all its files, or the sources. */
export function commandArgs(built = process.env.HOLDFAST_TEST_BUILD): string[] {
  return built
    ? [join(built, 'src/cli/main.js')]
    : ['--import', import.meta.resolve('tsx'), join(ROOT, 'src/cli/main.ts')];
}
