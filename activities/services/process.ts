import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context, Service } from '../contracts.js';
import { checkCommand, commandEnv, isDirectory } from './commands.js';
import { type LiveProcess, lives, readPidFile, sinceBootMs } from './process-table.js';
import { until } from './until.js';

type Spec = Extract<ServiceSpec, { kind: 'process' }>;

/** After the stop timeout the process is killed, as docker and systemd do it; the kernel needs a moment for a large one. */
const KILL_MS = 5_000;
/** How long a fresh process must have lived to count as started, and how long a program that forks may take to say its pid. */
const SETTLE_MS = 150;
const APPEAR_MS = 3_000;

/**
 * Writes the pid, then becomes the program, in a session of its own and without our pipes. A program that forks and
 * writes its pid file itself overwrites ours. Where somebody else has started it since the file was read (`$1`), theirs is
 * kept, also within a millisecond: a file is taken away before it is looked at, and none is replaced.
 */
const LAUNCH = [
  'umask 022; named=$1; shift; now=',
  'mv -f "$0" "$0.old" 2>/dev/null && read -r now <"$0.old"',
  'if [ -n "$now" ] && [ "$now" != "$named" ] && [ -e "/proc/$now" ]; then mv -n "$0.old" "$0"; exit 0; fi',
  'printf "%s\\n" $$ >"$0.new" || exit 1',
  'mv -n "$0.new" "$0"; rm -f "$0.old" "$0.new"; read -r now <"$0"',
  '[ "$now" = $$ ] && exec "$@" </dev/null >/dev/null 2>&1',
].join('\n');

/** As `read` in the shell gets it: some programs write more than their pid. */
const firstLine = (text: string): string => text.split('\n', 1)[0]?.trim() ?? '';

async function find(spec: Spec, ctx: Context): Promise<LiveProcess | undefined> {
  const found = await readPidFile(spec.pidFile, spec.start).catch((cause) => {
    throw ctx.fail('ServiceUnknown', `the pid file of ${spec.name} cannot be read: ${spec.pidFile}`, { cause });
  });
  return found?.foreign ? undefined : found?.process;
}

/** Ends that very process and no other: where it has gone meanwhile, nothing is sent. */
async function send(target: LiveProcess, signal: NodeJS.Signals, spec: Spec, ctx: Context): Promise<void> {
  if (!(await lives(target))) return;
  try {
    process.kill(target.pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return;
    throw ctx.fail('StopFailed', `${spec.name} (pid ${target.pid}) may not be signalled`, {
      advice: 'run the worker as root or as the user of that process',
      cause,
    });
  }
}

/**
 * A program without a unit: found by its pid file, ended by a signal, started detached. Its one unit has the service's
 * name. Children that outlive it are for the stopped section's own check to find.
 */
export const processService: Service<Spec> = {
  kind: 'process',

  async preflight(spec, ctx) {
    const directory = dirname(spec.pidFile);
    if (!(await isDirectory(directory)))
      throw ctx.fail('ServiceUnknown', `the directory of ${spec.name}'s pid file is not there: ${directory}`);
    await access(directory, constants.W_OK).catch((cause) => {
      throw ctx.fail('ServiceUnknown', `the pid file of ${spec.name} cannot be written: ${spec.pidFile}`, { cause });
    });
    await checkCommand(`the start command of ${spec.name}`, spec.start, ctx);
    const running = await find(spec, ctx);
    if (running) {
      try {
        process.kill(running.pid, 0);
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'EPERM')
          throw ctx.fail('StopFailed', `${spec.name} (pid ${running.pid}) belongs to another user`, {
            advice: 'run the worker as root or as that user',
            cause,
          });
      }
    }
    return {};
  },

  async status(spec, ctx) {
    const running = await find(spec, ctx);
    const marks = running && { startedAt: `${running.pid}:${running.startTicks}`, sinceMs: sinceBootMs(running) };
    return { units: [{ name: spec.name, running: running !== undefined, ...marks }] };
  },

  async stop(spec, running, ctx) {
    const target = running.includes(spec.name) ? await find(spec, ctx) : undefined;
    if (!target) return;
    const gone = async () => !(await lives(target));
    await send(target, spec.signal, spec, ctx);
    if (!(await until(gone, spec.stopTimeoutMs, ctx))) {
      await send(target, 'SIGKILL', spec, ctx);
      if (!(await until(gone, KILL_MS, ctx)))
        throw ctx.fail('StopFailed', `${spec.name} (pid ${target.pid}) survived ${spec.signal} and SIGKILL`);
      ctx.note(`${spec.name} did not stop within ${spec.stopTimeoutMs} ms after ${spec.signal}: it was killed`);
    }
    const next = await find(spec, ctx);
    if (next) throw ctx.fail('StopFailed', `${spec.name} stopped, but runs again as pid ${next.pid}`);
  },

  async start(spec, units, ctx) {
    if (!units.includes(spec.name)) return;
    const named = firstLine(await readFile(spec.pidFile, 'utf8').catch(() => ''));
    if (await find(spec, ctx)) return;
    if (await readPidFile(spec.pidFile, spec.start))
      ctx.note(`${spec.pidFile} named a younger process of somebody else; ${spec.name} was taken as stopped`);
    await ctx
      .run('setsid', ['--fork', 'sh', '-c', LAUNCH, spec.pidFile, named, ...spec.start.argv], {
        ...(spec.start.cwd ? { cwd: spec.start.cwd } : {}),
        ...(await commandEnv(spec.start, ctx)),
        timeoutMs: spec.start.timeoutMs,
        outlives: true,
      })
      .catch((cause) => {
        if (!isFailure(cause)) throw cause;
        throw ctx.fail('StartFailed', `${spec.name} could not be started`, { cause });
      });
    let since = 0;
    let seen = '';
    const settled = async () => {
      const found = await find(spec, ctx);
      const mark = found ? `${found.pid}:${found.startTicks}` : '';
      if (mark !== seen) [seen, since] = [mark, performance.now()];
      return seen !== '' && performance.now() - since >= SETTLE_MS;
    };
    if (!(await until(settled, APPEAR_MS, ctx)))
      throw ctx.fail('StartFailed', `${spec.name} ended right after its start`);
  },
};
