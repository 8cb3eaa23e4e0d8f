import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatDuration } from '../../src/core/durations.js';
import { isFailure } from '../../src/core/failures.js';
import type { Health, ServiceSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';

const PROBE_MS = 2_000;
/** An application is asked again after a small part of the time that it has taken: what is late costs little downtime. */
const PAUSE_PART = 0.04;
const SHORTEST_PAUSE_MS = 25;
const LONGEST_PAUSE_MS = 500;

/**
 * Resolves when the service answers its health check; without one, when its status says that `units` run. Polled every 25 ms
 * at first, then slower. Throws NotHealthy after `withinMs`.
 */
export async function waitHealthy(
  spec: ServiceSpec,
  ctx: Context,
  withinMs: number,
  units: string[] = [],
): Promise<void> {
  const began = performance.now();
  const end = began + withinMs;
  for (;;) {
    const said = await probe(spec, units, ctx);
    if (said === 'healthy') return;
    const left = end - performance.now();
    if (left <= 0)
      throw ctx.fail('NotHealthy', `${spec.name} is not healthy after ${formatDuration(withinMs)}: ${said}`);
    ctx.beat();
    const part = PAUSE_PART * (performance.now() - began);
    const pause = Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, part));
    await sleep(Math.min(pause, left), undefined, { signal: ctx.signal }).catch(() => ctx.signal.throwIfAborted());
  }
}

/** `healthy`, or in a few words what is the matter. */
async function probe(spec: ServiceSpec, units: string[], ctx: Context): Promise<string> {
  const { health } = spec;
  if (!health) return (await isRunning(spec, units, ctx)) ? 'healthy' : 'not running';
  return 'http' in health ? probeHttp(health.http, health.status) : probeCommand(health, ctx);
}

/** Whether all these units run. A status that cannot be had is no answer, and so not "running". */
export async function isRunning(spec: ServiceSpec, units: string[], ctx: Context): Promise<boolean> {
  try {
    const state = await services[spec.kind].status(spec, ctx);
    return units.every((unit) => state.units.some(({ name, running }) => name === unit && running));
  } catch (error) {
    if (!isFailure(error)) throw error;
    return false;
  }
}

function probeHttp(url: string, wanted: number): Promise<string> {
  return new Promise((done) => {
    const request = url.startsWith('https:') ? httpsRequest : httpRequest;
    // A certificate made at home is no reason to call an application down: nothing secret is sent.
    const probe = request(url, { agent: false, timeout: PROBE_MS, rejectUnauthorized: false }, (answer) => {
      answer.resume();
      done(answer.statusCode === wanted ? 'healthy' : `HTTP ${answer.statusCode} instead of ${wanted}`);
    });
    probe.once('timeout', () => probe.destroy(new Error('no answer')));
    probe.once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    probe.end();
  });
}

async function probeCommand({ command }: Extract<Health, { command: unknown }>, ctx: Context): Promise<string> {
  const [program = '', ...args] = command.argv;
  const env: Record<string, string> = {};
  const secretEnv: Record<string, string> = {};
  for (const [name, value] of Object.entries(command.env ?? {})) {
    if (typeof value === 'string') env[name] = value;
    else secretEnv[name] = await ctx.secret(value);
  }
  try {
    const { cwd, timeoutMs } = command;
    await ctx.run(program, args, { timeoutMs, env, secretEnv, ...(cwd === undefined ? {} : { cwd }) });
    return 'healthy';
  } catch (error) {
    if (!isFailure(error, 'ToolFailed', 'ToolStalled')) throw error;
    return 'its health command fails';
  }
}
