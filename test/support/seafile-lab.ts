import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeSeafile, type SeafileOptions, type SeafileSite } from './seafile-site.js';

const SCRIPT = fileURLToPath(new URL('../../examples/seafile/service.sh', import.meta.url));

export interface SeafileLab extends SeafileSite {
  /** What was stopped and started since the last look, in this order. */
  calls: () => string[];
  /** Both lines of services, and the health, as a config has them. */
  lines: { services: object[]; health: object };
}

/** An installation with its scripts, running. */
export function seafileLab(dir: string, options?: Omit<SeafileOptions, 'dir'>): SeafileLab {
  const tools = join(dir, 'scripts');
  mkdirSync(tools, { recursive: true, mode: 0o755 });
  // A copy that nobody else can write: Holdfast starts no program that others can change.
  const script = join(tools, 'service.sh');
  copyFileSync(SCRIPT, script);
  chmodSync(script, 0o755);
  for (const name of ['seahub', 'seafile']) execFileSync(script, [name, 'start']);
  const service = (name: string) => ({
    name,
    command: Object.fromEntries(['stop', 'start', 'status'].map((verb) => [verb, [script, name, verb]])),
  });
  const calls = () => {
    const text = readFileSync(join(tools, 'run/calls'), 'utf8');
    writeFileSync(join(tools, 'run/calls'), '');
    return text.split('\n').filter(Boolean);
  };
  calls();
  return {
    ...makeSeafile(join(dir, 'haiwen'), options),
    calls,
    lines: {
      services: [service('seahub'), service('seafile')],
      health: { command: ['/usr/bin/test', '-e', join(tools, 'run/seahub')] },
    },
  };
}
