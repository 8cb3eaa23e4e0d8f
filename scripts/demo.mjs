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
// Ctrl-C reaches the child itself; this waits for its tidy end.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && child.kill(signal));
child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)));
