import type { Keep } from '../../src/core/plan.js';

/** `7 daily, 4 weekly`; empty where everything is kept. */
export function keepText(keep: Keep | undefined): string {
  if (!keep) return '';
  return Object.entries(keep)
    .filter(([, count]) => count !== undefined)
    .map(([bucket, count]) => `${count} ${bucket}`)
    .join(', ');
}
