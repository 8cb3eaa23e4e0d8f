import { realpath } from 'node:fs/promises';
import { isFailure } from '../../src/core/failures.js';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';
import { until } from '../services/until.js';
import { observe } from './application.js';
import { writers } from './processes.js';

/**
 * The application does not run and writes nothing: each service says so, and no process has a file at or below `paths` open
 * for writing (children that outlived it). Throws NotStopped or StillWriting with pid and program.
 */
export async function assertStopped(specs: ServiceSpec[], paths: string[], ctx: Context): Promise<void> {
  for (const spec of specs) {
    const { units } = await services[spec.kind].status(spec, ctx);
    const up = units.find(({ running }) => running);
    if (up) throw ctx.fail('NotStopped', `${up.name} of ${spec.name} runs inside the stopped section`);
  }
  const real = await Promise.all(paths.map((path) => realpath(path).catch(() => path)));
  const [writer, ...more] = writers(real);
  if (!writer) return;
  const others = more.length > 0 ? ` (and ${more.length} more)` : '';
  throw ctx.fail('StillWriting', `${writer.program} (pid ${writer.pid})${others} still writes ${writer.file}`, {
    details: { places: [writer, ...more].slice(0, 10).map((w) => `${w.program} (pid ${w.pid}): ${w.file}`) },
  });
}

/** A program that somebody started has opened its data before its pid file, say, names it. */
const APPEARS_MS = 10_000;

/**
 * The same, where the section has stopped the application already: what somebody has started since (a person, an auto-restarter) is
 * stopped again, so that nobody works on while state is exchanged, or goes on with what was put aside.
 */
export async function keepStopped(specs: ServiceSpec[], paths: string[], ctx: Context): Promise<void> {
  let last: unknown;
  const stopped = async (): Promise<boolean> => {
    try {
      await assertStopped(specs, paths, ctx);
      return true;
    } catch (error) {
      if (!isFailure(error, 'NotStopped', 'StillWriting')) throw error;
      last = error;
    }
    const running = await observe(specs, ctx);
    for (const spec of specs) {
      const again = running[spec.name] ?? [];
      if (again.length === 0) continue;
      ctx.note(`${spec.name} was started by somebody while its state was exchanged, and stopped again`);
      await services[spec.kind].stop(spec, again, ctx);
    }
    return false;
  };
  if (!(await until(stopped, APPEARS_MS, ctx))) throw last;
}
