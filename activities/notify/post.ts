import { setTimeout as sleep } from 'node:timers/promises';

export interface Post {
  url: string;
  body: string;
  headers: Record<string, string>;
}

/** Limits of one delivery, together well below what a person waits for at the end of a run. */
export const POST_LIMITS = { tries: 3, firstPauseMs: 1000, tryMs: 8000, totalMs: 20_000 };

/** What a failed try may say: never the address, never what the other side wrote. */
class Refused extends Error {
  constructor(
    message: string,
    readonly again: boolean,
  ) {
    super(message);
  }
}

/** Delivers by POST, up to three times within 20 s; resolves with why it was not delivered, in words without a secret. */
export async function post(what: Post, signal: AbortSignal, limits = POST_LIMITS): Promise<string | undefined> {
  const until = performance.now() + limits.totalMs;
  let why = '';
  for (let n = 1; n <= limits.tries; n++) {
    const left = until - performance.now();
    if (left <= 0) break;
    try {
      await tryOnce(what, AbortSignal.any([signal, AbortSignal.timeout(Math.min(limits.tryMs, left))]));
      return undefined;
    } catch (error) {
      if (signal.aborted) return 'the run was cancelled';
      why = reasonOf(error);
      if (error instanceof Refused && !error.again) return why;
    }
    const pause = limits.firstPauseMs * 2 ** (n - 1);
    if (n < limits.tries && performance.now() + pause < until)
      await sleep(pause, undefined, { signal }).catch(() => undefined);
  }
  return why;
}

async function tryOnce({ url, body, headers }: Post, signal: AbortSignal): Promise<void> {
  // Followed, a redirect would turn the POST into a GET and count as delivered, or carry the body to somebody else.
  const answer = await fetch(url, { method: 'POST', body, headers, signal, redirect: 'manual' });
  await answer.body?.cancel();
  if (answer.ok) return;
  const { status } = answer;
  if (status >= 300 && status < 400)
    throw new Refused(`it answered ${status}, a redirect; give the final address`, false);
  throw new Refused(`it answered ${status}`, status >= 500 || status === 429 || status === 408);
}

function reasonOf(error: unknown): string {
  if (error instanceof Refused) return error.message;
  const { name, cause } = error as { name?: string; cause?: { code?: unknown } };
  if (name === 'TimeoutError') return 'it did not answer in time';
  const code = cause?.code;
  return typeof code === 'string' && /^[A-Z_]{2,40}$/.test(code)
    ? `it cannot be reached (${code})`
    : 'it cannot be reached';
}
