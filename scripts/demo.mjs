#!/usr/bin/env node
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { ROOT, setup } from './setup.mjs';

/** `npm run demo`: installs what lacks to run it, then tells the story. */
try {
  setup('runtime');
  // The story's last line is a command, and whoever types it is in this checkout.
  if (!existsSync(`${ROOT}node_modules/.bin/holdfast`)) {
    console.error('setup: npm run build (once, for npx holdfast)');
    const { status, stdout, stderr } = spawnSync(process.execPath, ['scripts/build.mjs'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`npm run build failed:\n${stdout}${stderr}`);
  }
} catch (error) {
  console.error(`setup: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
const args = ['--import', 'tsx', 'scripts/demo/main.ts', ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
// The child ends what it started, so this waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
