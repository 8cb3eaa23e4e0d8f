import type { Readable } from 'node:stream';

/** What `read` makes of a program's output, with back-pressure; `run` begins the program and is given what to pass as `onStdout`. */
export async function* streamed<T>(
  run: (onStdout: (stdout: Readable) => Promise<void>) => Promise<unknown>,
  read: (stdout: Readable) => AsyncIterable<T>,
): AsyncGenerator<T> {
  let begin = (_: Readable): void => {};
  let end = (): void => {};
  const begun = new Promise<Readable>((done) => {
    begin = done;
  });
  const ended = new Promise<void>((done) => {
    end = done;
  });
  const running = run((stdout) => {
    begin(stdout);
    return ended;
  });
  running.catch(() => {}); // awaited below, or given up by a consumer that has seen enough
  const stdout = await Promise.race([begun, running.then(() => undefined)]);
  try {
    if (stdout) yield* read(stdout);
  } finally {
    end();
  }
  await running;
}
