import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import type { Context, RunOptions, RunResult } from '../contracts.js';

/** Lines of a program's standard output as they come, at the reader's pace; `ended` judges how it ended. A reader that leaves early ends the program. */
export async function* lines(
  ctx: Context,
  program: string,
  args: readonly string[],
  options: RunOptions,
  ended: (result: RunResult) => void | Promise<void>,
): AsyncGenerator<string> {
  const through = new PassThrough();
  const running = ctx.run(program, args, { ...options, onStdout: (stdout) => pipeline(stdout, through) });
  // A program that never began, or was ended, leaves a reader that would wait for ever.
  running.catch((error) => through.destroy(error));
  let complete = false;
  try {
    const decoder = new StringDecoder('utf8');
    let rest = '';
    for await (const chunk of through) {
      const parts = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
    if (rest !== '') yield rest;
    complete = true;
    await ended(await running);
  } finally {
    if (!complete) {
      through.destroy();
      await running.catch(() => {});
    }
  }
}

/** How long a transfer may go without a byte. */
export const IDLE_MS = 30 * 60_000;

const PULSE_MS = 5_000;

/** Says that work goes on while a program runs that says nothing itself (restic's prune, check and restore). */
export async function pulsing<T>(ctx: Context, work: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => ctx.beat(), PULSE_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
