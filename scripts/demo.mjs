#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { ROOT, setup } from './setup.mjs';

/** `npm run demo`: installs what lacks to run it, then tells the story. */
try {
  setup('runtime');
} catch (error) {
  console.error(`setup: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
const args = ['--import', 'tsx', 'scripts/demo/main.ts', ...process.argv.slice(2)];
const child = spawn(process.execPath, args, { cwd: ROOT, stdio: 'inherit' });
// The child ends what it started, so this waits for it.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
