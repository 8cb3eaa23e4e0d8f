import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { baseEnv } from './programs.js';

/**
 * A flock(1) held by a child for as long as our pipe to it is open: it dies with us at SIGKILL, and nothing that we start inherits it.
 * Apart from the runner, because it belongs to no step: it has no log, no cancellation, and must not be in the journal of groups.
 */
export interface HeldLock {
  /** Sends one line to the script that runs under the lock; resolves with its answer, undefined where it has gone. */
  ask(line: string): Promise<string | undefined>;
  release(): Promise<void>;
}

/**
 * Takes the lock, or answers undefined where it is busy for `waitSeconds`. `script` runs under it with `args`; its first line
 * of output must be `locked`. With `limitSeconds` the lock is lost then: a frozen process must not hold others for ever.
 */
export async function holdLock(
  file: string,
  options: { waitSeconds: number; limitSeconds?: number; script?: string; args?: string[] },
): Promise<HeldLock | undefined> {
  const script = options.script ?? 'echo locked; cat >/dev/null';
  const [program = '', ...argv] = [
    ...(options.limitSeconds ? ['timeout', '-s', 'KILL', String(options.limitSeconds)] : []),
    ...['flock', '-F', '-x', '-w', String(options.waitSeconds), file, 'sh', '-c', script, 'holdfast'],
    ...(options.args ?? []),
  ];
  const child: ChildProcessWithoutNullStreams = spawn(program, argv, { detached: true, env: baseEnv() });
  const exit = new Promise<void>((done) => {
    child.once('close', () => done());
    child.once('error', () => done());
  });
  child.stdin.on('error', () => {}); // the answer that does not come says it
  child.stderr.resume();
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<string | undefined> => {
    const next = await answers.next();
    return next.done ? undefined : next.value;
  };
  if ((await answer()) !== 'locked') {
    await exit;
    return undefined;
  }
  return {
    ask: (line) => {
      child.stdin.write(`${line}\n`);
      return answer();
    },
    release: async () => {
      child.stdin.end();
      await exit;
    },
  };
}
