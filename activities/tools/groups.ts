import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ProcessMark, type StateDir } from '../site/api.js';
import { groupMembers } from '../site/processes.js';

/** A program that runs, as journalled before it began: so that whoever comes after our death can end it. */
export const Group = z.object({
  ...ProcessMark.shape,
  owner: ProcessMark,
  label: z.string(),
  /** Set for a tool of a stopped section. */
  lockFile: z.string().optional(),
});
export type Group = z.infer<typeof Group>;

/** Exit codes of the wrapper itself. */
export const LOCK_BUSY = 223;
export const EPOCH_MOVED = 224;
const ORPHANED = 225;
/** It would be unknown to whoever comes after our death, so it does not begin. */
export const UNJOURNALLED = 226;

/** How long a fenced tool waits for the site's lock: another tool of the same section ends within it, or it is stuck. */
export const LOCK_WAIT_SECONDS = 10;

/**
 * $1 file of the group, $2 pid of our process, $3 end of the record, then the program. `setpriv` before it asks the kernel to
 * kill it with us; a parent that died before that moment shows as another PPID. Where a program of its own is killed, so was it.
 */
export const WRAPPER = `
group=$1 owner=$2 rest=$3; shift 3
[ "$PPID" = "$owner" ] || exit ${ORPHANED}
umask 077
read -r stat </proc/$$/stat
started() { shift 19; echo "$1"; }
printf '{"pid":%s,"startTime":"%s",%s' $$ "$(started \${stat##*) })" "$rest" >"$group.new" && mv "$group.new" "$group" ||
  { code=$?; [ "$code" -gt 128 ] || code=${UNJOURNALLED}; exit "$code"; }
umask 022
exec "$@"`;

/** $1 epoch file, $2 epoch, then the program. Runs under flock: nobody can raise the epoch from here until the program has ended. */
export const EPOCH_GATE = `
read -r now <"$1" || exit ${EPOCH_MOVED}
[ "$now" = "$2" ] || exit ${EPOCH_MOVED}
shift 2
exec "$@"`;

/** Every journalled group; one that is just being written is no group yet. */
export async function readGroups(state: StateDir): Promise<{ file: string; group: Group }[]> {
  const found: { file: string; group: Group }[] = [];
  for (const name of await readdir(state.groups)) {
    if (!name.endsWith('.json')) continue;
    const file = join(state.groups, name);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) continue;
    const parsed = Group.safeParse(parseJson(text));
    // Only a lost power supply leaves such a file, and with it every process of that boot is gone.
    if (parsed.success) found.push({ file, group: parsed.data });
    else await rm(file, { force: true });
  }
  return found;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether any process of the group still does something: one that has ended may wait for seconds to be taken note of. */
export function groupLives(pid: number): boolean {
  try {
    process.kill(-pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  return groupMembers(pid).length > 0;
}

/** Signals a whole group; one that is gone is fine. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
