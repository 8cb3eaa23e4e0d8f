import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '../contracts.js';
import { withState } from '../tools/context.js';
import type { SiteRecord } from './api.js';
import { bringUp } from './application.js';
import { openState } from './state.js';

/** What a state directory that went read-only, or away, answers with. A full one has its ballast. */
const CODES = new Set(['EROFS', 'EIO', 'ENOENT', 'ENOTDIR', 'EACCES', 'ESTALE']);

export const isStateGone = (error: unknown): boolean => CODES.has((error as NodeJS.ErrnoException)?.code ?? '');

/**
 * Starts what a record says, where nothing can be written into the state directory any more: no claim, no epoch, and logs and journal
 * in a spare place. Two that do so at once both find it running. Only for a record without undo entries: a way back that
 * cannot be noted as gone might be gone twice.
 */
export async function bringUpWithoutState(record: SiteRecord, withinMs: number, ctx: Context): Promise<void> {
  const dir = await spareDir();
  try {
    const spare = withState(ctx, await openState(dir));
    await bringUp(record.services, record.prior ?? {}, withinMs, async () => {}, spare);
    ctx.note('the state directory cannot be written; the application was started all the same');
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** The root disk may be read-only, too. */
async function spareDir(): Promise<string> {
  for (const place of ['/run', '/dev/shm']) {
    const made = await mkdtemp(join(place, 'holdfast-')).catch(() => undefined);
    if (made) return made;
  }
  return mkdtemp(join(tmpdir(), 'holdfast-'));
}
