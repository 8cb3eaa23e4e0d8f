import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StateDir } from '../site/api.js';
import { writeDurable } from '../site/durable.js';

/** Into how many parts the data is cut: each is read once in so many runs. */
export const PARTS = 12;

/** Which part is read this time: 1…of, one further each time, so that `of` runs have read everything. */
export async function nextPart(
  state: StateDir,
  site: string,
  purpose: string,
  of = PARTS,
): Promise<{ n: number; of: number }> {
  const path = join(state.site(site).dir, `part-${purpose}`);
  const last = Number.parseInt(await readFile(path, 'utf8').catch(() => '0'), 10) || 0;
  const n = (last % of) + 1;
  await writeDurable(path, String(n));
  return { n, of };
}
