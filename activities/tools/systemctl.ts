import { isFailure } from '../../src/core/failures.js';
import type { Context, RunOptions } from '../contracts.js';

/** What `systemctl show` tells of one unit. Its exit code is 0 for any name, so `loaded` says whether there is such a unit. */
export interface Unit {
  id: string;
  /** loaded, not-found, masked, error, bad-setting, … */
  load: string;
  active: string;
  sub: string;
  /** success, or why it failed: timeout, exit-code, signal, … */
  result: string;
  /** Microseconds of the boot clock at which it was started last; kept after it stops. */
  started: string;
  /** Whether its control group holds processes; they may outlive the unit's own end (KillMode=process or none). */
  populated: boolean;
  transient: boolean;
  stopTimeoutMs: number;
  /** Units that start this one when something happens: sockets, timers, paths. */
  triggeredBy: string[];
  /** Units that systemd stops with this one, and does not start again with it. */
  dependants: string[];
}

const PROPERTIES =
  'Id,LoadState,ActiveState,SubState,Result,ExecMainStartTimestampMonotonic,ActiveEnterTimestampMonotonic,ControlGroup,' +
  'TasksCurrent,Transient,TimeoutStopUSec,TriggeredBy,RequiredBy,BoundBy,ConsistsOf';

export interface Manager {
  /** The units of the worker's own user instead of the machine's. */
  user: boolean;
}

async function systemctl(manager: Manager, args: string[], ctx: Context, options: RunOptions = {}) {
  // A user manager is found by its runtime directory, which the runner's bare environment does not carry.
  const runtime = process.env.XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.() ?? 0}`;
  return ctx.run('systemctl', [...(manager.user ? ['--user'] : []), '--no-pager', '--no-ask-password', ...args], {
    ...(manager.user ? { env: { XDG_RUNTIME_DIR: runtime } } : {}),
    timeoutMs: 30_000,
    ...options,
  });
}

/** systemd's version. Throws ToolMissing. */
export async function systemdVersion(manager: Manager, ctx: Context): Promise<string> {
  const { stdout } = await systemctl(manager, ['--version'], ctx);
  return stdout.split(/\s+/)[1] ?? 'unknown';
}

/** Looks units up, in the order asked. */
export async function showUnits(manager: Manager, names: string[], ctx: Context): Promise<Unit[]> {
  const { stdout } = await systemctl(manager, ['show', '-p', PROPERTIES, '--', ...names], ctx);
  return stdout.trim().split(/\n\n+/).map(parseUnit);
}

function parseUnit(block: string): Unit {
  const entries = block.split('\n').map((line): [string, string] => {
    const at = line.indexOf('=');
    return [line.slice(0, at), line.slice(at + 1)];
  });
  const get = (key: string) => entries.find(([name]) => name === key)?.[1] ?? '';
  const list = (key: string) => get(key).split(' ').filter(Boolean);
  return {
    id: get('Id'),
    load: get('LoadState'),
    active: get('ActiveState'),
    sub: get('SubState'),
    result: get('Result'),
    started: get('ExecMainStartTimestampMonotonic') || get('ActiveEnterTimestampMonotonic'),
    // systemd gives an empty group up. The number reads `[not set]` where the kernel does not count.
    populated: get('ControlGroup') !== '' && get('TasksCurrent') !== '0',
    transient: get('Transient') === 'yes',
    stopTimeoutMs: spanMs(get('TimeoutStopUSec')),
    triggeredBy: list('TriggeredBy'),
    dependants: [...list('RequiredBy'), ...list('BoundBy'), ...list('ConsistsOf')].filter((name) =>
      /\.(service|socket|timer|path)$/.test(name),
    ),
  };
}

/** `1min 30s` → 90000; `infinity` → Infinity. */
function spanMs(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  const unit: Record<string, number> = { h: 3_600_000, min: 60_000, s: 1000, ms: 1, us: 0.001 };
  return text
    .split(' ')
    .map((part) => /^([\d.]+)(h|min|s|ms|us)$/.exec(part))
    .reduce((sum, match) => sum + Number(match?.[1] ?? 0) * (unit[match?.[2] ?? ''] ?? 0), 0);
}

/** Asks for units to be stopped and waits for it. Exit code 0 does not mean that they stopped well, nor 1 that they run: look. */
export async function stopUnits(manager: Manager, names: string[], timeoutMs: number, ctx: Context): Promise<void> {
  await ended(systemctl(manager, ['stop', '--', ...names], ctx, { timeoutMs }));
}

/** Asks for units to be started; false where systemd says that one failed. Clears an old failure, which may stand against a start. */
export async function startUnits(manager: Manager, names: string[], timeoutMs: number, ctx: Context): Promise<void> {
  await systemctl(manager, ['reset-failed', '--', ...names], ctx, { ok: [0, 1, 5] });
  await ended(systemctl(manager, ['start', '--', ...names], ctx, { timeoutMs }));
}

/** Lets a program's own failure pass: the units' states decide what has come of it. */
async function ended(run: Promise<unknown>): Promise<void> {
  await run.catch((cause) => {
    if (!isFailure(cause, 'ToolFailed', 'ToolStalled')) throw cause;
  });
}
