import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeSeafile, type SeafileOptions, type SeafileSite } from './seafile-site.js';

/** Seafile's own two scripts, as far as a backup sees them: what runs is a file, and each call is written down. */
const SCRIPT = `#!/bin/sh
set -eu
cd "$(dirname "$0")"
name=$(basename "$0" .sh)
case "$1" in
  start) echo "start $name" >>calls; : >"$name.runs" ;;
  stop) echo "stop $name" >>calls; rm -f "$name.runs" ;;
  status) [ -e "$name.runs" ] || exit 3 ;;
esac
`;

export interface SeafileLab extends SeafileSite {
  /** What was stopped and started since the last look, in this order. */
  calls: () => string[];
  /** Both lines of services, and the health, as a config has them. */
  lines: { services: object[]; health: object };
}

/** An installation with its scripts, running. */
export function seafileLab(dir: string, options?: SeafileOptions): SeafileLab {
  const tools = join(dir, 'scripts');
  mkdirSync(tools, { recursive: true, mode: 0o755 });
  for (const name of ['seahub', 'seafile']) {
    writeFileSync(join(tools, `${name}.sh`), SCRIPT, { mode: 0o755 });
    execFileSync(join(tools, `${name}.sh`), ['start']);
  }
  const service = (name: string) => ({
    name,
    command: Object.fromEntries(['stop', 'start', 'status'].map((verb) => [verb, [join(tools, `${name}.sh`), verb]])),
  });
  const calls = () => {
    const text = readFileSync(join(tools, 'calls'), 'utf8');
    writeFileSync(join(tools, 'calls'), '');
    return text.split('\n').filter(Boolean);
  };
  calls();
  return {
    ...makeSeafile(join(dir, 'haiwen'), options),
    calls,
    lines: {
      services: [service('seahub'), service('seafile')],
      health: { command: ['/usr/bin/test', '-e', join(tools, 'seahub.runs')] },
    },
  };
}
