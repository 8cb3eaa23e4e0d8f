import { realpath } from 'node:fs/promises';
import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context } from '../contracts.js';
import { services } from '../services/index.js';
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
