#!/usr/bin/env node
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { ROOT, setup } from './setup.mjs';

/** Compiles to dist/ and bundles the workflows there, so that a worker starts without a bundler run. */
setup('runtime');
rmSync(`${ROOT}dist`, { recursive: true, force: true });
execFileSync(`${ROOT}node_modules/.bin/tsc`, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' });
const { bundle, prebuiltBundle } = await import(`${ROOT}dist/worker/bundle.js`);
writeFileSync(prebuiltBundle, (await bundle()).code);
chmodSync(`${ROOT}dist/src/cli/main.js`, 0o755);
// So that `npx holdfast` of the examples finds this checkout's own command without npm link.
rmSync(`${ROOT}node_modules/.bin/holdfast`, { force: true });
symlinkSync('../../dist/src/cli/main.js', `${ROOT}node_modules/.bin/holdfast`);
