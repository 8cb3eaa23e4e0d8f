import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context, Service } from '../contracts.js';
import { wasKilled } from '../tools/killed.js';
import { checkCommand, runCommand } from './commands.js';
import { until } from './until.js';

type Spec = Extract<ServiceSpec, { kind: 'command' }>;

/** Exit codes of `status` commands (LSB): everything else is an error, so an unknown code never passes for "stopped". */
const RUNNING = 0;
const STOPPED = 3;

async function runs(spec: Spec, ctx: Context): Promise<boolean> {
  const { exitCode } = await runCommand(spec.status, ctx, { ok: [RUNNING, STOPPED] });
  return exitCode === RUNNING;
}

/** A service with stop, start and status commands of its own. Its one unit has the service's name. */
export const command: Service<Spec> = {
  kind: 'command',

  async preflight(spec, ctx) {
    for (const part of ['status', 'stop', 'start'] as const)
      await checkCommand(`the ${part} command of ${spec.name}`, spec[part], ctx);
    await runs(spec, ctx).catch((cause) => {
      if (!isFailure(cause, 'ToolFailed') || wasKilled(cause)) throw cause;
      throw ctx.fail('ServiceUnknown', `the status command of ${spec.name} says neither running (0) nor stopped (3)`, {
        cause,
      });
    });
    return {};
  },

  async status(spec, ctx) {
    return { units: [{ name: spec.name, running: await runs(spec, ctx) }] };
  },

  async stop(spec, running, ctx) {
    if (!running.includes(spec.name) || !(await runs(spec, ctx))) return;
    const began = Date.now();
    const timeoutMs = Math.min(spec.stop.timeoutMs, spec.stopTimeoutMs);
    await runCommand(spec.stop, ctx, { timeoutMs }).catch((cause) => {
      if (!isFailure(cause)) throw cause;
      throw ctx.fail('StopFailed', `the stop command of ${spec.name} failed or took too long`, { cause });
    });
    // Many stop commands only ask: the status command decides, within what is left of the limit.
    const left = spec.stopTimeoutMs - (Date.now() - began);
    if (!(await until(async () => !(await runs(spec, ctx)), left, ctx)))
      throw ctx.fail('StopFailed', `${spec.name} still runs although its stop command succeeded`);
  },

  async start(spec, units, ctx) {
    if (!units.includes(spec.name) || (await runs(spec, ctx))) return;
    await runCommand(spec.start, ctx, { outlives: true }).catch((cause) => {
      if (!isFailure(cause)) throw cause;
      throw ctx.fail('StartFailed', `the start command of ${spec.name} failed`, { cause });
    });
  },
};
