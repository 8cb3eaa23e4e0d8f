import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { resolveSecret } from '../src/config/secrets.js';
import { DEFAULT_HOST } from '../src/core/names.js';
import type { Context, Progress } from './contracts.js';
import { openState } from './site/state.js';
import { createContext } from './tools/context.js';

export interface LocalContextOptions {
  stateDir?: string;
  host?: string;
  site?: string;
  signal?: AbortSignal;
  note?: (text: string) => void;
  beat?: (progress?: Progress) => void;
}

/** A Context outside any workflow: what commands such as `snapshots`, `check` and `adopt` give to the parts. */
export async function localContext(step: string, options: LocalContextOptions = {}): Promise<Context> {
  const state = await openState(options.stateDir);
  await mkdir(join(state.logs, 'command'), { recursive: true, mode: 0o700 });
  return createContext({
    state,
    step,
    host: options.host ?? DEFAULT_HOST,
    ...(options.site ? { site: options.site } : {}),
    signal: options.signal ?? new AbortController().signal,
    log: `command/${step}.log`,
    note: options.note ?? (() => {}),
    ...(options.beat ? { beat: options.beat } : {}),
    resolve: (ref, { run, fail }) => resolveSecret(ref, { run, fail }),
  });
}
