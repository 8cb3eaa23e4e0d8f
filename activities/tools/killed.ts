import { isFailure } from '../../src/core/failures.js';

/** As a shell counts SIGKILL and SIGTERM. */
const KILLED = [137, 143];

/** Whether somebody ended a program (the machine had no memory left, say): that tells nothing of what it worked on, so it is tried again. */
export function wasKilled(error: unknown): boolean {
  if (!isFailure(error, 'ToolFailed')) return false;
  const { exitCode } = (error.details?.[0] ?? {}) as { exitCode?: number };
  return exitCode !== undefined && KILLED.includes(exitCode);
}
