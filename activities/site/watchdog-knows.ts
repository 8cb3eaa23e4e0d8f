import { readFile } from 'node:fs/promises';
import type { DatabaseSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import type { StateDir } from './api.js';
import { liveness } from './marks.js';
import { watchdogAlive } from './watchdog-status.js';

/**
 * Throws RestoreRefused where a secret of these databases is a variable that the watchdog does not have: after the worker's death nobody
 * could take their exchange back, and the application would stay down. Of a watchdog that cannot be seen from here nothing can be told.
 */
export async function watchdogKnows(specs: readonly DatabaseSpec[], state: StateDir, ctx: Context): Promise<void> {
  const needed = specs.flatMap((spec) => variablesOf(spec).map((variable) => ({ name: spec.name, variable })));
  if (needed.length === 0) return;
  const watchdog = await watchdogAlive(state);
  // One that the worker starts has the worker's variables.
  if (!watchdog || liveness(watchdog) !== 'alive' || watchdog.pid === process.pid) return;
  const text = await readFile(`/proc/${watchdog.pid}/environ`, 'utf8').catch(() => undefined);
  const has = new Set(text?.split('\0').map((line) => line.slice(0, line.indexOf('='))));
  const lacks = text === undefined ? undefined : needed.find(({ variable }) => !has.has(variable));
  if (lacks)
    throw ctx.fail(
      'RestoreRefused',
      `the watchdog has no variable ${lacks.variable}, so it could not put ${lacks.name} back`,
      {
        advice: 'set it for the watchdog too, or keep that secret in a file',
      },
    );
}

/** Names of the variables that references in a spec name. */
function variablesOf(value: unknown): string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('env' in value && typeof value.env === 'string' && Object.keys(value).length === 1) return [value.env];
  return Object.values(value).flatMap(variablesOf);
}
