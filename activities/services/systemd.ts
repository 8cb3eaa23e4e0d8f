import type { ServiceSpec } from '../../src/core/plan.js';
import type { Context, Service } from '../contracts.js';
import { type Manager, showUnits, startUnits, stopUnits, systemdVersion, type Unit } from '../tools/systemctl.js';
import { until } from './until.js';

type Spec = Extract<ServiceSpec, { kind: 'systemd' }>;

/** A start that takes longer (Type=notify, oneshot) goes on by itself: health is waited for elsewhere. */
const START_MS = 15_000;
/** How long processes may take to leave the control group after the unit says that it stopped. */
const EMPTY_MS = 2_000;

const manager = (spec: Spec): Manager => ({ user: spec.user });
const runs = (unit: Unit) => !['inactive', 'failed'].includes(unit.active);
const rank = (unit: Unit) => (unit.id.endsWith('.service') ? 1 : 0);

/**
 * The unit, what triggers it (it would be started again at the next connection or timer), and what systemd stops with
 * it (which it would not start again). Triggers come first: a socket cannot start beside its running service.
 */
async function family(spec: Spec, ctx: Context): Promise<Unit[]> {
  const found = new Map<string, Unit>();
  const asked = new Set<string>();
  for (let names = [spec.unit]; names.length > 0; ) {
    for (const name of names) asked.add(name);
    const units = await showUnits(manager(spec), names, ctx);
    for (const unit of units) found.set(unit.id, unit);
    names = [...new Set(units.flatMap((unit) => [...unit.triggeredBy, ...unit.dependants]))].filter(
      (name) => !asked.has(name) && !found.has(name),
    );
  }
  return [...found.values()].sort((a, b) => rank(a) - rank(b));
}

/**
 * The units of these names. Asked for by name: systemd forgets a stopped unit, and with it what hung together with
 * another one, so the family of a stopped service is smaller than that of a running one.
 */
async function named(spec: Spec, names: string[], ctx: Context): Promise<Unit[]> {
  return names.length === 0 ? [] : (await showUnits(manager(spec), names, ctx)).sort((a, b) => rank(a) - rank(b));
}

/** One unit of systemd, with the units that hang together with it. */
export const systemd: Service<Spec> = {
  kind: 'systemd',

  async preflight(spec, ctx) {
    const version = await systemdVersion(manager(spec), ctx);
    const [unit] = await showUnits(manager(spec), [spec.unit], ctx).catch((cause) => {
      throw ctx.fail('ServiceUnknown', `systemd does not answer for ${spec.unit}`, { cause });
    });
    if (unit?.load !== 'loaded')
      throw ctx.fail('ServiceUnknown', `systemd has no usable unit ${spec.unit} (${unit?.load ?? 'not-found'})`);
    if (unit.transient)
      throw ctx.fail('ServiceUnknown', `${unit.id} is transient: once stopped it could not be started again`, {
        advice: 'give it a unit file',
      });
    if (unit.stopTimeoutMs > spec.stopTimeoutMs)
      ctx.note(`${unit.id} may take ${unit.stopTimeoutMs / 1000} s to stop, we wait ${spec.stopTimeoutMs / 1000} s`);
    return { systemd: version };
  },

  async status(spec, ctx) {
    const units = await family(spec, ctx);
    return { units: units.map((unit) => ({ name: unit.id, running: runs(unit), startedAt: unit.started })) };
  },

  async stop(spec, running, ctx) {
    const look = () => named(spec, running, ctx);
    const live = (await look()).filter(runs).map((unit) => unit.id);
    if (live.length > 0) await stopUnits(manager(spec), live, spec.stopTimeoutMs, ctx);
    let left: Unit[] = [];
    const empty = async () => {
      left = (await look()).filter((unit) => runs(unit) || unit.populated);
      return left.length === 0 || left.some(runs);
    };
    await until(empty, EMPTY_MS, ctx);
    for (const unit of left)
      throw ctx.fail(
        'StopFailed',
        runs(unit)
          ? `${unit.id} is still ${unit.active} (${unit.sub}) after ${spec.stopTimeoutMs / 1000} s`
          : `${unit.id} is ${unit.active}, but processes of it live on`,
      );
    for (const unit of await look())
      if (live.includes(unit.id) && unit.result === 'timeout')
        ctx.note(`${unit.id} did not stop within its own limit: systemd killed it`);
  },

  async start(spec, units, ctx) {
    const look = () => named(spec, units, ctx);
    const idle = (await look()).filter((unit) => !runs(unit) || unit.active === 'deactivating');
    if (idle.length === 0) return;
    await startUnits(
      manager(spec),
      idle.map((unit) => unit.id),
      START_MS,
      ctx,
    );
    for (const unit of await look())
      if (!runs(unit) && !(unit.active === 'inactive' && unit.result === 'success'))
        throw ctx.fail('StartFailed', `${unit.id} did not start (${unit.active}, ${unit.result})`);
  },
};
