import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { formatDuration } from '../../src/core/durations.js';
import type { Context, Run, RunOptions, RunResult } from '../contracts.js';
import type { StateDir } from '../site/api.js';
import { ownMark } from '../site/marks.js';
import { EPOCH_GATE, EPOCH_MOVED, groupLives, LOCK_BUSY, LOCK_WAIT_SECONDS, UNJOURNALLED, WRAPPER } from './groups.js';
import { wasKilled } from './killed.js';
import { createOutput, TAIL } from './output.js';
import { baseEnv, exitCodeOf, findProgram } from './programs.js';
import type { Redactor } from './redact.js';
import { createStopper, type Stopper } from './stopper.js';

/** What the runner needs to know of the step that it works for. */
export interface RunnerOptions {
  state: StateDir;
  /** `<site> <step>`: what a person sees in the journal of groups. */
  label: string;
  /** Lock file of the stopped section that these programs belong to, fenced or not. */
  section?: string | undefined;
  signal: AbortSignal;
  /** Calls back on each beat of the step; returns how to end that. */
  onBeat: (listener: () => void) => () => void;
  /** Standard error of every program goes here, redacted. */
  logFile: string;
  redact: Redactor;
  fail: Context['fail'];
  /** Told of each program that somebody killed or that could not begin, whatever becomes of its failure. */
  onKilled?: ((failure: Error) => void) | undefined;
}

/** One program of the runner, resolved. */
interface Job {
  runner: RunnerOptions;
  program: string;
  args: readonly string[];
  options: RunOptions;
  env: Record<string, string>;
  log: Writable;
  details: { tool: string; log: string };
}

interface Ended {
  exitCode: number;
  stdout: string;
  stderrTail: string;
  consumerError?: unknown;
}

/** A pipe that a descendant keeps open after the program's end is given up when nothing came for so long. */
const LINGER_MS = 2_000;

/**
 * The one module that runs programs. Each runs in a process group of its own, is journalled before it begins, dies with
 * this process as far as the kernel can do that, and is ended with all of its group on cancellation, whose own reason is
 * what the caller gets (Temporal takes nothing else for a cancellation).
 */
export function createRun(runner: RunnerOptions): Run {
  return async (program, args, options = {}) => {
    const { redact, fail } = runner;
    runner.signal.throwIfAborted();
    redact.add(...Object.values(options.secretEnv ?? {}), ...(options.secrets ?? []));
    const env = { ...baseEnv(), ...options.env, ...options.secretEnv };
    const tool = program.slice(program.lastIndexOf('/') + 1);
    // Looked up here, because an exit code of 127 may be the program's own.
    for (const each of options.fence ? [program, 'flock'] : [program])
      if (!findProgram(each, env.PATH, options.cwd))
        throw fail('ToolMissing', `the program ${each} is not installed`, { details: { tool: each } });

    const began = performance.now();
    const log = createWriteStream(runner.logFile, { flags: 'a', mode: 0o600 });
    log.on('error', () => {}); // a full disk must not end the dump whose log it is
    log.write(`# ${new Date().toISOString()} ${redact.text([program, ...args].join(' '))}\n`);
    const details = { tool, log: relative(runner.state.root, runner.logFile) };
    const job: Job = { runner, program, args, options, env, log, details };
    try {
      const ended = await (options.outlives ? runDetached(job) : runGroup(job));
      const tookMs = Math.round(performance.now() - began);
      log.write(`# ${tool}: exit code ${ended.exitCode} after ${tookMs} ms\n`);
      return { ...judge(job, ended), tookMs };
    } finally {
      await new Promise<void>((done) => log.end(done));
    }
  };
}

function judge({ options, runner: { state, fail, onKilled }, details }: Job, ended: Ended): Omit<RunResult, 'tookMs'> {
  const { exitCode, stdout, stderrTail, consumerError } = ended;
  if (options.fence && exitCode === LOCK_BUSY)
    throw fail('SectionRevoked', `${details.tool} did not get the site's lock in ${LOCK_WAIT_SECONDS} s`, { details });
  if (options.fence && exitCode === EPOCH_MOVED)
    throw fail('SectionRevoked', `${details.tool} did not begin: the stopped section had been ended`, { details });
  if (exitCode === UNJOURNALLED || !(options.ok ?? [0]).includes(exitCode)) {
    const failed =
      exitCode === UNJOURNALLED
        ? fail('StateUnusable', `${details.tool} did not begin: nothing can be written below ${state.groups}`, {
            details,
          })
        : fail('ToolFailed', `${details.tool} ended with exit code ${exitCode}`, {
            details: { ...details, exitCode, stderrTail },
            cause: consumerError,
          });
    if (exitCode === UNJOURNALLED || wasKilled(failed)) onKilled?.(failed);
    throw failed;
  }
  if (consumerError) throw consumerError;
  return { exitCode, stdout, stderrTail };
}

async function runGroup(job: Job): Promise<Ended> {
  const { runner, options, details } = job;
  const group = join(runner.state.groups, `${randomUUID()}.json`);
  const [file = '', ...argv] = wrapped(job, group);
  const child = execa(file, argv, childOptions(job, 'pipe'));
  const exit = exitOf(child);
  if (child.pid === undefined) {
    await child;
    throw runner.fail('ToolFailed', `${details.tool} could not be started in ${options.cwd ?? '.'}`, { details });
  }
  const stopper = createStopper(child.pid, exit);
  const { stop } = stopper;
  let silentMs = 0;
  const sign = (): void => {
    silentMs = 0;
  };
  const silent = (ms: number): number => {
    silentMs += ms;
    return silentMs;
  };
  const tooMuch = () => runner.fail('ToolFailed', `${details.tool} printed more than 16 MB`, { details });
  const output = createOutput(child.stdout, child.stderr, options, {
    ...{ redact: runner.redact, log: job.log },
    ...{ sign, stop, tooMuch },
  });
  const stalled = (what: string): void =>
    stop(runner.fail('ToolStalled', `${details.tool} ${what}`, { details: { ...details, stderrTail: output.tail() } }));
  const release = [runner.onBeat(sign), onAbort(runner.signal, stop), watchLimits(options, silent, stalled)];
  try {
    const exitCode = await exit;
    await stopper.settled();
    await output.ended(LINGER_MS);
    await stopper.settled();
    stopper.rethrow();
    return { exitCode, stdout: output.stdout(), stderrTail: output.tail(), consumerError: output.error() };
  } finally {
    for (const each of release) each();
    // What the program left behind stays in the journal, where the end of strays finds it.
    if (!groupLives(child.pid)) await rm(group, { force: true });
  }
}

/**
 * A start command: what it starts lives on without us, so its output goes to a file (a pipe would end with us, and the
 * application with the pipe), nothing ends it, and it is in no journal.
 */
async function runDetached(job: Job): Promise<Ended> {
  const { runner, program, args, options, details, log } = job;
  const outFile = `${runner.logFile}.start`;
  let said = '';
  await writeFile(outFile, '', { mode: 0o600 });
  const child = execa(
    '/bin/sh',
    ['-c', 'exec "$@" >>"$0" 2>&1', outFile, program, ...args],
    childOptions(job, 'ignore'),
  );
  const done = new AbortController();
  const until = { signal: done.signal };
  try {
    const exitCode = await Promise.race([
      exitOf(child),
      once(runner.signal, 'abort', until).then(() => Promise.reject(runner.signal.reason)),
      ...(options.timeoutMs === undefined ? [] : [sleep(options.timeoutMs, undefined, until)]),
    ]);
    if (exitCode === undefined)
      throw runner.fail(
        'ToolStalled',
        `${details.tool} has not ended after ${formatDuration(options.timeoutMs ?? 0)}; it was left alone`,
        {
          details,
        },
      );
    said = await saidIn(outFile, job);
    return { exitCode, stdout: '', stderrTail: said.slice(-TAIL) };
  } finally {
    done.abort();
    child.unref();
    log.write(said + (await saidIn(outFile, job).catch(() => '')));
  }
}

/** Takes what a start command has printed out of its file, redacted: what stands there later is of whoever lives on. */
async function saidIn(outFile: string, { runner }: Job): Promise<string> {
  const said = runner.redact.text(await readFile(outFile, 'utf8'));
  await truncate(outFile);
  return said;
}

function childOptions<O extends 'pipe' | 'ignore'>({ options, env }: Job, output: O) {
  const { input, handed } = options;
  return {
    detached: true,
    cleanup: false,
    extendEnv: false,
    env,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(input === undefined ? {} : { input }),
    // Its types know descriptors of one digit only.
    stdio: [
      input === undefined ? 'ignore' : 'pipe',
      output,
      output,
      ...(handed === undefined ? [] : [handed as 3]),
    ] as readonly ['ignore' | 'pipe', O, O, ...3[]],
    buffer: false as const,
    reject: false as const,
    encoding: 'buffer' as const,
  };
}

/** The process's own end: execa also waits for pipes, which a descendant may hold for ever. */
function exitOf(child: ReturnType<typeof execa>): Promise<number> {
  return new Promise((done) => {
    child.once('exit', (code, signal) => done(exitCodeOf(code, signal)));
    child.once('error', () => done(126));
  });
}

function onAbort(signal: AbortSignal, stop: Stopper['stop']): () => void {
  const abort = (): void => stop(signal.reason);
  signal.addEventListener('abort', abort);
  if (signal.aborted) abort();
  return () => signal.removeEventListener('abort', abort);
}

/** Silence is counted look by look (`silent` adds to it): a worker that stood still itself could not hear a program. */
function watchLimits(
  { timeoutMs, idleMs }: RunOptions,
  silent: (ms: number) => number,
  stalled: (what: string) => void,
): () => void {
  const limit =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => stalled(`took longer than ${formatDuration(timeoutMs)}`), timeoutMs);
  const everyMs = Math.min(1000, Math.ceil((idleMs ?? 0) / 4));
  const look = (): void => {
    if (idleMs !== undefined && silent(everyMs) > idleMs) stalled(`said and did nothing for ${formatDuration(idleMs)}`);
  };
  const looks = idleMs === undefined ? undefined : setInterval(look, everyMs);
  return () => {
    clearTimeout(limit);
    clearInterval(looks);
  };
}

/** The argv that journals, ties the program to our life, and takes the site's lock where there is a fence. */
function wrapped({ runner, program, args, options: { fence } }: Job, group: string): string[] {
  const mark = ownMark();
  const rest = JSON.stringify({
    bootId: mark.bootId,
    pidNamespace: mark.pidNamespace,
    owner: mark,
    label: runner.redact.text(`${runner.label}: ${program}`),
    lockFile: fence?.lockFile ?? runner.section,
  }).slice(1);
  const setpriv = findProgram('setpriv');
  return [
    ...(setpriv ? [setpriv, '--pdeathsig', 'KILL', '--'] : []),
    ...['/bin/sh', '-c', WRAPPER, 'holdfast', group, String(mark.pid), rest],
    ...(fence
      ? [
          ...['flock', '-F', '-x', '-w', String(LOCK_WAIT_SECONDS), '-E', String(LOCK_BUSY), fence.lockFile],
          ...['/bin/sh', '-c', EPOCH_GATE, 'holdfast', fence.epochFile, String(fence.epoch)],
        ]
      : []),
    program,
    ...args,
  ];
}
