import { ApplicationFailure } from '@temporalio/common';
import { EXIT, exitOf } from './exit-codes.js';

/** A failure of the catalogue, or of the connection to Temporal, as exit code and lines for people. */
export function explainFailure(error: unknown): { code: number; message: string; mistakes: readonly string[] } {
  if (error instanceof ApplicationFailure) {
    const details = error.details?.[0] as { mistakes?: string[]; places?: string[] } | undefined;
    return {
      code: exitOf('failed', [error.type ?? '']),
      message: error.message,
      mistakes: details?.mistakes ?? details?.places ?? [],
    };
  }
  if (isTemporalAway(error)) {
    return {
      code: EXIT.temporalAway,
      message: `Temporal does not answer (${firstLine(error)}); start it, as with: holdfast dev, or name it with --address`,
      mistakes: [],
    };
  }
  return {
    code: EXIT.failed,
    message: error instanceof Error ? (error.stack ?? error.message) : String(error),
    mistakes: [],
  };
}

/** No connection, a deadline, or a server that is starting (gRPC codes 4 and 14). */
export function isTemporalAway(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = (e as { cause?: unknown }).cause) {
    const code = (e as { code?: unknown }).code;
    if (code === 14 || code === 4 || e.name === 'TransportError') return true;
    if (/Failed to connect before the deadline|ECONNREFUSED|ENOTFOUND/.test(e.message)) return true;
  }
  return false;
}

function firstLine(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
}
