import type { Readable, Writable } from 'node:stream';
import { Transform } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import type { RunOptions } from '../contracts.js';
import type { Redactor } from './redact.js';

const BUFFER_LIMIT = 16 * 1024 * 1024;
export const TAIL = 4096;

interface Hooks {
  redact: Redactor;
  log: Writable;
  /** Something came: the program lives. */
  sign: () => void;
  /** Ends the program, for this reason. */
  stop: (reason: unknown) => void;
  tooMuch: () => unknown;
}

/** Both outputs of one program: standard error to the log, standard output to whoever asked for it. */
export interface Output {
  stdout(): string;
  tail(): string;
  /** What the consumer of standard output threw after the stream's own end: the exit code may explain it. */
  error(): unknown;
  /** Resolves when both have been read to their end, or when nothing came for `lingerMs` (a descendant keeps the pipe). */
  ended(lingerMs: number): Promise<void>;
}

export function createOutput(stdout: Readable, stderr: Readable, options: RunOptions, hooks: Hooks): Output {
  let lastByte = performance.now();
  const seen = (): void => {
    lastByte = performance.now();
    hooks.sign();
  };
  let tail = '';
  const redacted = hooks.redact.stream();
  const lines = lineSplitter(options.onErrorLine ?? (() => {}), hooks.stop);
  const said = (text: string): void => {
    lines.push(text);
    if (options.untold) return;
    hooks.log.write(text);
    tail = (tail + text).slice(-TAIL);
  };
  const readErr = readText(stderr, seen, (text) => said(redacted.push(text))).then(() => {
    said(redacted.end());
    lines.end();
  });

  let text = '';
  let failed: unknown;
  let readOut: Promise<void>;
  if (options.onStdout) {
    const passed = new Transform({
      transform(chunk, _, done) {
        seen();
        done(null, chunk);
      },
    });
    // `pipe` says nothing of a source that breaks off: the consumer must learn of it.
    stdout.on('close', () => stdout.readableEnded || passed.destroy(new Error('the output broke off')));
    stdout.on('error', (error) => passed.destroy(error));
    stdout.pipe(passed);
    readOut = options.onStdout(passed).then(
      () => {
        passed.resume();
      },
      (error) => {
        failed = error;
        if (!stdout.readableEnded) hooks.stop(error);
        passed.on('error', () => {}).destroy();
        stdout.resume();
      },
    );
  } else if (options.onLine) {
    readOut = readLines(stdout, seen, options.onLine, hooks.stop);
  } else {
    let size = 0;
    readOut = readText(stdout, seen, (piece) => {
      size += piece.length;
      if (size > BUFFER_LIMIT) hooks.stop(hooks.tooMuch());
      else text += piece;
    });
  }
  const all = Promise.all([readOut, readErr]);
  return {
    stdout: () => text,
    tail: () => limitBytes(tail),
    error: () => failed,
    ended: async (lingerMs) => {
      let timer: NodeJS.Timeout | undefined;
      lastByte = performance.now();
      const quiet = new Promise<void>((done) => {
        timer = setInterval(() => {
          // Bytes that a slow consumer has not taken yet are no silence.
          if (stdout.readableLength > 0 || performance.now() - lastByte < lingerMs) return;
          stdout.destroy();
          stderr.destroy();
          done();
        }, 50);
      });
      await Promise.race([all, quiet]);
      clearInterval(timer);
    },
  };
}

async function readText(stream: Readable, seen: () => void, take: (text: string) => void): Promise<void> {
  const decoder = new StringDecoder('utf8');
  stream.on('data', (chunk: Buffer) => {
    seen();
    take(decoder.write(chunk));
  });
  await closed(stream);
  take(decoder.end());
}

async function readLines(
  stream: Readable,
  seen: () => void,
  onLine: (line: string) => void,
  stop: (reason: unknown) => void,
): Promise<void> {
  const lines = lineSplitter(onLine, stop);
  await readText(stream, seen, lines.push);
  lines.end();
}

/** Makes lines of pieces of text; what the taker throws ends the program. */
function lineSplitter(onLine: (line: string) => void, stop: (reason: unknown) => void) {
  let rest = '';
  let broken = false;
  const line = (text: string): void => {
    if (broken) return;
    try {
      onLine(text);
    } catch (error) {
      broken = true;
      stop(error);
    }
  };
  return {
    push: (piece: string): void => {
      const lines = (rest + piece).split('\n');
      rest = lines.pop() ?? '';
      for (const each of lines) line(each);
    },
    end: (): void => {
      if (rest !== '') line(rest);
      rest = '';
    },
  };
}

/** `close` comes after `end`, after `error`, and after `destroy`. */
function closed(stream: Readable): Promise<void> {
  return new Promise((done) => {
    stream.on('error', () => {});
    stream.once('close', () => done());
  });
}

function limitBytes(text: string): string {
  return Buffer.from(text)
    .subarray(-TAIL)
    .toString('utf8')
    .replace(/^\uFFFD+/, '');
}
