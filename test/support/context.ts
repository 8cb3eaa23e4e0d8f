import { rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context, Progress } from '../../activities/contracts.js';
import type { StateDir } from '../../activities/site/api.js';
import { openState } from '../../activities/site/state.js';
import { createContext } from '../../activities/tools/context.js';

export interface TestContext extends Context {
  state: StateDir;
  notes: string[];
  beats: (Progress | undefined)[];
  /** Aborts `signal` with this reason. */
  cancel: (reason: unknown) => void;
  /** What the programs of this context wrote to the log. */
  logText: () => Promise<string>;
}

const ours: string[] = [];
process.on('exit', () => {
  for (const dir of ours) rmSync(dir, { recursive: true, force: true });
});

/** A state directory that goes with this process. */
async function throwAway(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'holdfast-state-'));
  ours.push(dir);
  return dir;
}

/** A context with the real runner and a state directory of its own (`dir`, else a new temporary one). */
export async function testContext(options: { step?: string; dir?: string; site?: string } = {}): Promise<TestContext> {
  const state = await openState(options.dir ?? (await throwAway()));
  const controller = new AbortController();
  const notes: string[] = [];
  const beats: (Progress | undefined)[] = [];
  const log = 'test.log';
  const context = createContext({
    state,
    step: options.step ?? 'test',
    host: 'local',
    ...(options.site ? { site: options.site } : {}),
    signal: controller.signal,
    log,
    beat: (progress) => beats.push(progress),
    note: (text) => notes.push(text),
    resolve: async (ref, { run }) => {
      if ('file' in ref) return (await readFile(ref.file, 'utf8')).trimEnd();
      if ('env' in ref) return process.env[ref.env] ?? '';
      const [program = '', ...args] = ref.command;
      return (await run(program, args)).stdout.trimEnd();
    },
  });
  return {
    ...context,
    state,
    notes,
    beats,
    cancel: (reason) => controller.abort(reason),
    logText: () => readFile(join(state.logs, log), 'utf8').catch(() => ''),
  };
}
