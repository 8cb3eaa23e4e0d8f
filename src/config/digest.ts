import { createHash } from 'node:crypto';

/** Twelve hex digits that tell one plan from another, whatever the order of its keys. */
export function digest(plan: unknown): string {
  return createHash('sha256').update(canonical(plan)).digest('hex').slice(0, 12);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, v: unknown) =>
    typeof v === 'object' && v !== null && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : v,
  );
}
