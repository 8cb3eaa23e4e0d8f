#!/usr/bin/env node
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildGoPrograms } from './setup/go-programs.mjs';
import { lockMatches } from './setup/lockfile.mjs';
import { installPackages } from './setup/packages.mjs';
import { getTestServer } from './setup/test-server.mjs';

/** Installs what this checkout lacks. Plain Node only: it runs before there is a node_modules. */

export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** `runtime`: what Holdfast itself calls; `test`: the throw-away servers and tools of the tests besides. */
export function setup(purpose, say = (line) => console.error(line)) {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node ${process.versions.node} is too old; install Node 20.19 or newer`);
  }
  if (!existsSync(`${ROOT}node_modules`) || !lockMatches(ROOT)) {
    installModules(say);
  }
  installPackages(purpose, say);
  if (purpose !== 'test') return {};
  buildGoPrograms(ROOT, say);
  return { testServer: getTestServer(say) };
}

function installModules(say) {
  // No dependency of ours needs its install script, so none is run.
  const npm = (...args) =>
    execFileSync('npm', [...args, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  say('setup: npm ci (node_modules is absent or is not what the lockfile says)');
  try {
    npm('ci');
  } catch {
    // A lockfile written where a registry lacks other platforms' packages: ci refuses it, install does not.
    say('setup: npm ci refused, so: npm install --no-save');
    npm('install', '--no-save');
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    setup(process.argv[2] === 'test' ? 'test' : 'runtime');
  } catch (error) {
    console.error(`setup: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
