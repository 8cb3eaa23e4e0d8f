import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeDurable } from '../../activities/site/durable.js';
import { failure } from '../core/failures.js';
import { Plan } from '../core/plan.js';
import { digest } from './digest.js';

/** Writes a plan under its digest (0600, durable) and returns the digest: later steps name it, whatever the config says by then. */
export async function freezePlan(plansDir: string, plan: Plan): Promise<string> {
  const name = digest(plan);
  await writeDurable(join(plansDir, `${name}.json`), `${JSON.stringify(plan, null, 2)}\n`);
  return name;
}

/** A frozen plan. Throws StateUnusable where it is gone or no longer what its name says. */
export async function loadFrozen(
  plansDir: string,
  name: string,
  { step, host } = { step: 'plan', host: 'local' },
): Promise<Plan> {
  const unusable = (what: string, cause?: unknown) =>
    failure('StateUnusable', { step, host, what, advice: 'start the run again', cause });
  if (!/^[0-9a-f]{12}$/.test(name)) throw unusable('that is no digest of a plan');
  let frozen: unknown;
  try {
    frozen = JSON.parse(await readFile(join(plansDir, `${name}.json`), 'utf8'));
  } catch (error) {
    throw unusable(`the frozen plan ${name} cannot be read`, error);
  }
  // As it was written: a newer version's defaults make another plan of it, and a run goes on through an upgrade.
  if (digest(frozen) !== name) throw unusable(`the frozen plan ${name} was changed`);
  const plan = Plan.safeParse(frozen);
  if (!plan.success) throw unusable(`the frozen plan ${name} is of another version`, plan.error);
  return plan.data;
}
