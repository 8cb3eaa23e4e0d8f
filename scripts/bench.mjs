#!/usr/bin/env node
import { spawnSync } from 'node:child_process';
import { ROOT, setup } from './setup.mjs';

/** `npm run bench`: installs what is missing, then measures (scripts/bench/main.ts). */
setup('test', console.error);
const { temporalPath } = await import('./testing/server.mjs');
const temporal = await temporalPath(process.env, console.error);
if (!temporal) process.exit(1);
const { TEMPORAL_ADDRESS: _, TEMPORAL_NAMESPACE: __, ...env } = process.env;
const args = ['--import', 'tsx', 'scripts/bench/main.ts', ...process.argv.slice(2)];
const { status } = spawnSync(process.execPath, args, {
  cwd: ROOT,
  env: { ...env, TEMPORAL_CLI_PATH: temporal },
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
