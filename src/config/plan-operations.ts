import type { OperationSpec } from '../core/plan.js';
import { commandOf, healthOf, ms } from './plan-services.js';
import type { OperationLines, SiteLines } from './schema-site.js';

const DEFAULT_MS = 3_600_000;

/** The operations of a site, by name. */
export function operationsOf({ operations = {}, root }: SiteLines): Record<string, OperationSpec> {
  return Object.fromEntries(Object.entries(operations).map(([name, lines]) => [name, operationOf(lines, root)]));
}

function operationOf({ run, check, writes, timeout, touches }: OperationLines, root: string): OperationSpec {
  const own = Array.isArray(run) ? undefined : run.timeout;
  return {
    run: { ...commandOf(run, root), timeoutMs: ms(timeout ?? own) ?? DEFAULT_MS },
    ...(check === undefined || check === 'health' ? {} : { check: healthOf(check, root) }),
    writes: writes ?? 'held',
    ...(touches ? { touches } : {}),
  };
}
