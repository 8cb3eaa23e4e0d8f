import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Search } from './secret-search.js';

/** What runs instead of every program of the PATH: notes arguments, environment and credential files, then becomes the program. */
const SPY = `#!/bin/sh
spy=@DIR@
{
  printf '\\035%s\\036%s\\036%s' $$ $PPID "\${0##*/}"
  for each in "$@"; do printf '\\036%s' "$each"; done
  printf '\\037'; export -p
  printf '\\037'
  for each in "$PGPASSFILE" "$@"; do
    each=\${each#--defaults-extra-file=}
    case $each in */credential|/proc/self/fd/3) /bin/ls -lnL "$each"; while IFS= read -r line; do printf '%s\\n' "$line"; done <"$each" ;; esac
  done
} 2>/dev/null >>"$spy/runs/$$"
if [ "\${0##*/}" = setpriv ]; then
  for each in "$@"; do
    name=\${each##*/}
    case $name in *[!a-z0-9_-]*|'') continue ;; esac
    [ -e "$spy/leak/$name" ] || continue
    read -r word <"$spy/leak/$name"
    case "$*" in *" $word "*) ;; *) continue ;; esac
    /bin/rm -f "$spy/leak/$name"
    for out in 1 2; do {
      /usr/bin/env
      [ -z "$PGPASSFILE" ] || /bin/cat "$PGPASSFILE"
      for other in "$@"; do case $other in --defaults-extra-file=*) /bin/cat "\${other#*=}" ;; esac; done
    } >&$out; done
    echo leaked >>"$spy/leaked"
    exit 1
  done
fi
for dir in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin @MORE@; do
  [ -x "$dir/\${0##*/}" ] && exec "$dir/\${0##*/}" "$@"
done
exit 127
`;

/** One program that was started through the PATH. */
export interface Run {
  pid: number;
  parent: number;
  args: string[];
  env: string;
  /** Credential files that it was given, with their modes. */
  credentials: string;
}

export interface Spy {
  /** The PATH of whoever is watched. */
  path: string;
  /** The next run of this program with this argument prints its environment and credentials on both outputs, and fails. */
  leak: (program: string, argument: string) => void;
  leaked: () => number;
  runs: () => Run[];
  end: () => void;
}

export function openSpy(more: readonly string[] = []): Spy {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-spy-'));
  for (const name of ['bin', 'runs', 'leak']) mkdirSync(join(dir, name));
  chmodSync(dir, 0o755);
  // Throw-away servers run as somebody else.
  for (const name of ['runs', 'leak']) chmodSync(join(dir, name), 0o1777);
  const script = join(dir, 'spy');
  writeFileSync(script, SPY.replace('@DIR@', dir).replace('@MORE@', more.join(' ')), { mode: 0o755 });
  const places = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin', ...more];
  for (const name of new Set(places.flatMap(listed))) symlinkSync(script, join(dir, 'bin', name));
  return {
    path: join(dir, 'bin'),
    leak: (program, argument) => writeFileSync(join(dir, 'leak', program), `${argument}\n`),
    leaked: () => read(join(dir, 'leaked')).split('\n').filter(Boolean).length,
    runs: () => listed(join(dir, 'runs')).flatMap((name) => parse(read(join(dir, 'runs', name)))),
    end: () => rmSync(dir, { recursive: true, force: true }),
  };
}

function parse(text: string): Run[] {
  return text
    .split('\x1d')
    .filter(Boolean)
    .map((run) => {
      const [head = '', env = '', credentials = ''] = run.split('\x1f');
      const [pid, parent, ...args] = head.split('\x1e');
      return { pid: Number(pid), parent: Number(parent), args, env, credentials };
    });
}

/** The program that a run of Holdfast's runner is for: behind `setpriv`, the journal's shell, and the lock. */
function programOf({ args }: Run): string | undefined {
  const at = args.indexOf('holdfast');
  if (basename(args[0] ?? '') !== 'setpriv' || at < 0) return undefined;
  const behind = args.slice(at + 4);
  const gate = behind[0] === 'flock' ? behind.indexOf('holdfast') + 3 : 0;
  return basename(behind[gate] ?? '');
}

/** Pid → the program that Holdfast's runner made of it; `parents` learns who started whom. */
export function toolsOf(runs: readonly Run[], parents: Map<number, number>): Map<number, string> {
  const tools = new Map<number, string>();
  for (const run of runs) {
    if (run.parent > 1 || !parents.has(run.pid)) parents.set(run.pid, run.parent);
    const program = programOf(run);
    if (program) tools.set(run.pid, program);
  }
  return tools;
}

/** Looks through all runs; what a tool starts itself counts as the tool. */
export function searchRuns(
  runs: readonly Run[],
  tools: ReadonlyMap<number, string>,
  parents: ReadonlyMap<number, number>,
  search: Search,
): void {
  for (const run of runs) {
    const own = basename(run.args[0] ?? '');
    // In a PID namespace of its own it has another number.
    const boxed = /HOLDFAST_PROBE=|HOME='[^']*\/scratch\//.test(run.env) ? 'unshare' : undefined;
    const tool = boxed ?? programOf(run) ?? toolOf(run.pid, tools, parents) ?? `${own} of our own`;
    search.text(`arguments of ${own} (${tool})`, run.args.join('\n'));
    search.text(`environment of ${tool}`, run.env);
    for (const text of run.credentials.split(/^(?=[-dl][rwx-]{9})/m))
      if (text) search.text(`credential ${/^-rw-------/.test(text) ? '0600' : text.slice(0, 10)} of ${tool}`, text);
  }
}

export function toolOf(pid: number, tools: ReadonlyMap<number, string>, parents: ReadonlyMap<number, number>) {
  for (let at = pid, n = 0; at > 1 && n < 50; at = parents.get(at) ?? 0, n++) if (tools.has(at)) return tools.get(at);
  return undefined;
}

function listed(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
