#!/usr/bin/env node
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { ROOT, setup } from './setup.mjs';

/** Compiles to dist/ and bundles the workflows there, so that a worker starts without webpack's second. */
setup('runtime');
rmSync(`${ROOT}dist`, { recursive: true, force: true });
execFileSync(`${ROOT}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
const { writeWorkflowBundle } = await import(`${ROOT}dist/worker/bundle.js`);
await writeWorkflowBundle(`${ROOT}dist/workflow-bundle.js`);
chmodSync(`${ROOT}dist/src/cli/main.js`, 0o755);
