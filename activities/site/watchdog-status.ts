import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { ProcessMark, type StateDir } from './api.js';
import { bootClock, bootId, liveness, ownMark } from './marks.js';

const Status = z.object({
  ...ProcessMark.shape,
  /** Boot clock of the last sign of life: what counts where the process itself cannot be seen (another container). */
  seen: z.number(),
  startedAt: z.string(),
});
export type WatchdogStatus = z.infer<typeof Status>;

const SILENT_MS = 20_000;
const startedAt = new Date().toISOString();

export async function writeStatus(state: StateDir): Promise<void> {
  const status: WatchdogStatus = { ...ownMark(), seen: bootClock(), startedAt };
  await writeFile(`${state.watchdog}.new`, `${JSON.stringify(status)}\n`, { mode: 0o600 });
  await rename(`${state.watchdog}.new`, state.watchdog);
}

/** The watchdog of this state directory, where one runs: what `stop` and `check` ask. */
export async function watchdogAlive(state: StateDir): Promise<WatchdogStatus | undefined> {
  const text = await readFile(state.watchdog, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const status = Status.safeParse(JSON.parse(text));
  if (!status.success || status.data.bootId !== bootId()) return undefined;
  const alive = liveness(status.data);
  const heard = bootClock() - status.data.seen < SILENT_MS;
  return alive === 'alive' || (alive === 'unknown' && heard) ? status.data : undefined;
}
